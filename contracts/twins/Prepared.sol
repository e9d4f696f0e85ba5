// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// What others have built around a vault that somebody watches. Each scene is made for one vault, and
/// making it is all that happens.
interface Watched {
    function deposit(uint256 amount) external;
    function withdraw(uint256 amount) external;
}

/// Borrows, goes in and out of the vault, and keeps the rest. Nobody but its maker has any use for it.
contract LoanTool is Flash {
    Watched immutable vault;
    Lender immutable lender;
    Coin immutable coin;
    address immutable maker;

    constructor(Watched vault_, Lender lender_, Coin coin_) {
        (vault, lender, coin, maker) = (vault_, lender_, coin_, tx.origin);
    }

    function run() external payable {
        require(tx.origin == maker, "not the maker");
        lender.flashLoan(this, coin, 1_000 ether, "");
        coin.transfer(maker, coin.balanceOf(address(this)));
    }

    function borrowed(uint256 amount) internal override {
        coin.approve(address(vault), amount);
        vault.deposit(amount);
        vault.withdraw(amount);
    }
}

contract LoanToolMade is Scene {
    constructor(Watched vault) payable {
        Coin coin = new Coin("USD");
        actor = address(new LoanTool(vault, new Lender(), coin));
    }
}

/// The same, called back by a pair.
contract SwapTool {
    Watched immutable vault;
    Pair immutable pair;

    constructor(Watched vault_, Pair pair_) {
        (vault, pair) = (vault_, pair_);
    }

    function run() external payable {
        pair.swap(1 ether, 0, address(this), "go");
    }

    function uniswapV2Call(address, uint256 amount, uint256, bytes calldata) external {
        Coin coin = pair.token0();
        coin.approve(address(vault), amount);
        vault.deposit(amount);
        vault.withdraw(amount);
        coin.transfer(address(pair), amount + amount / 100);
    }
}

contract SwapToolMade is Scene {
    constructor(Watched vault) payable {
        actor = address(new SwapTool(vault, new Pair(new Coin("A"), new Coin("B"))));
    }
}

interface LendingPool {
    function flashLoanSimple(address receiver, address asset, uint256 amount, bytes calldata data, uint16 code)
        external;
}

/// The same, called back by a lending pool, and it can vanish.
contract PoolTool {
    Watched immutable vault;
    LendingPool immutable pool;
    Coin immutable coin;

    constructor(Watched vault_, LendingPool pool_, Coin coin_) {
        (vault, pool, coin) = (vault_, pool_, coin_);
    }

    function run() external payable {
        pool.flashLoanSimple(address(this), address(coin), 1_000 ether, "", 0);
    }

    function executeOperation(address, uint256 amount, uint256 fee, address, bytes calldata)
        external
        returns (bool)
    {
        vault.deposit(amount);
        vault.withdraw(amount);
        coin.approve(address(pool), amount + fee);
        return true;
    }
}

contract PoolToolMade is Scene {
    constructor(Watched vault) payable {
        actor = address(new PoolTool(vault, LendingPool(address(0x9001)), new Coin("USD")));
    }
}

/// Brings people's coins into the vault and back, for a fee.
contract Integrator {
    Watched immutable vault;
    Coin immutable coin;
    mapping(address => uint256) public balanceOf;

    constructor(Watched vault_, Coin coin_) {
        (vault, coin) = (vault_, coin_);
    }

    function deposit(uint256 amount) external {
        coin.transferFrom(msg.sender, address(this), amount);
        coin.approve(address(vault), amount);
        vault.deposit(amount);
        balanceOf[msg.sender] += amount;
    }

    function withdraw(uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        vault.withdraw(amount);
        coin.transfer(msg.sender, amount - amount / 1000);
    }
}

contract IntegratorMade is Scene {
    constructor(Watched vault) payable {
        actor = address(new Integrator(vault, new Coin("USD")));
    }
}

/// Somebody's own script: puts earnings into the vault, and buys more at a pair before.
contract OwnScript is Trader {
    Watched immutable vault;
    Pair immutable pair;

    constructor(Watched vault_, Pair pair_) {
        (vault, pair) = (vault_, pair_);
    }

    function run() external payable {
        uint256 got = sell(pair, pair.token0(), pair.token0().balanceOf(address(this)));
        pair.token1().approve(address(vault), got);
        vault.deposit(got);
    }
}

contract OwnScriptMade is Scene {
    constructor(Watched vault) payable {
        actor = address(new OwnScript(vault, new Pair(new Coin("A"), new Coin("B"))));
    }
}

/// A clone of the vault's own code, as factories make them.
contract CloneMade is Scene {
    constructor(Watched vault) payable {
        bytes memory code = abi.encodePacked(
            hex"3d602d80600a3d3981f3363d3d373d3d3d363d73", address(vault), hex"5af43d82803e903d91602b57fd5bf3"
        );
        address made;
        assembly {
            made := create(0, add(code, 32), mload(code))
        }
        require(made != address(0), "not made");
        actor = made;
    }
}
