// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Multiplies without looking, as coins once did.
contract WrapCoin is Coin {
    constructor() Coin("WRAP") {}

    function batchTransfer(address[] calldata to, uint256 value) external {
        uint256 all;
        unchecked {
            all = to.length * value;
        }
        require(balanceOf[msg.sender] >= all, "not enough");
        unchecked {
            balanceOf[msg.sender] -= all;
            for (uint256 i = 0; i < to.length; i++) {
                balanceOf[to[i]] += value;
                emit Transfer(msg.sender, to[i], value);
            }
        }
    }
}

contract Sender {
    WrapCoin immutable coin;
    uint256 immutable value;

    constructor(WrapCoin coin_, uint256 value_) {
        (coin, value) = (coin_, value_);
    }

    function run() external payable {
        address[] memory to = new address[](2);
        (to[0], to[1]) = (address(0xAB), tx.origin);
        coin.batchTransfer(to, value);
    }
}

contract WrappedAround is Scene {
    constructor() payable {
        actor = address(new Sender(new WrapCoin(), 1 << 255));
    }
}

contract PaidToMany is Scene {
    constructor() payable {
        WrapCoin coin = new WrapCoin();
        Sender sender = new Sender(coin, 5 ether);
        coin.mint(address(sender), 10 ether);
        actor = address(sender);
    }
}

/// Moves coins for a fee. Both together may be nothing.
contract FeeCoin is Coin {
    constructor() Coin("FEE") {}

    function transferProxy(address from, address to, uint256 value, uint256 fee) external {
        unchecked {
            require(balanceOf[from] >= value + fee, "not enough");
            balanceOf[from] -= value + fee;
            balanceOf[to] += value;
            balanceOf[msg.sender] += fee;
        }
        emit Transfer(from, to, value);
        emit Transfer(from, msg.sender, fee);
    }

    /// To each its own amount.
    function batchTransfer(address[] calldata to, uint256[] calldata values) external {
        uint256 all;
        unchecked {
            for (uint256 i = 0; i < to.length; i++) all += values[i];
            require(balanceOf[msg.sender] >= all, "not enough");
            balanceOf[msg.sender] -= all;
            for (uint256 i = 0; i < to.length; i++) {
                balanceOf[to[i]] += values[i];
                emit Transfer(msg.sender, to[i], values[i]);
            }
        }
    }
}

/// Buys a coin back, one for one.
contract Desk {
    Coin immutable coin;
    Coin immutable cash;

    constructor(Coin coin_, Coin cash_) {
        (coin, cash) = (coin_, cash_);
    }

    function redeem(uint256 amount) external {
        coin.transferFrom(msg.sender, address(this), amount);
        cash.transfer(msg.sender, amount);
    }
}

abstract contract DeskScene is Scene {
    Coin cash = new Coin("CSH");
    Script script = new Script();

    function redeem(Coin coin, uint256 amount) internal {
        Desk desk = new Desk(coin, cash);
        cash.mint(address(desk), 1_000 ether);
        script.then(address(coin), abi.encodeCall(coin.approve, (address(desk), amount)));
        script.then(address(desk), abi.encodeCall(desk.redeem, (amount)));
        script.then(address(cash), abi.encodeCall(cash.transfer, (PLAYER, amount)));
        actor = address(script);
    }
}

contract FeeWrappedAround is DeskScene {
    constructor() payable {
        FeeCoin coin = new FeeCoin();
        uint256 most = type(uint256).max >> 1;
        script.then(
            address(coin), abi.encodeCall(coin.transferProxy, (address(0xAB), address(0xAC), most, most + 2))
        );
        redeem(coin, 1_000 ether);
    }
}

abstract contract ManyScene is DeskScene {
    function send(FeeCoin coin, uint256 first, uint256 second) internal {
        address[] memory to = new address[](2);
        uint256[] memory values = new uint256[](2);
        (to[0], to[1]) = (address(script), address(0xAB));
        (values[0], values[1]) = (first, second);
        script.then(address(coin), abi.encodeWithSelector(coin.batchTransfer.selector, to, values));
    }
}

contract SumWrappedAround is ManyScene {
    constructor() payable {
        FeeCoin coin = new FeeCoin();
        send(coin, 5_000 ether, type(uint256).max - 5_000 ether + 1);
        redeem(coin, 1_000 ether);
    }
}

contract HalvesWrappedAround is ManyScene {
    constructor() payable {
        FeeCoin coin = new FeeCoin();
        send(coin, (1 << 255) + 1 ether, 1 << 255);
        coin.mint(address(script), 1 ether);
        redeem(coin, 1_000 ether);
    }
}

contract AmountsPaidToMany is ManyScene {
    constructor() payable {
        FeeCoin coin = new FeeCoin();
        coin.mint(address(script), 12 ether);
        send(coin, 5 ether, 7 ether);
        actor = address(script);
    }
}

/// Takes from the wrong account, without looking: what is not there becomes very much.
contract UnderCoin is Coin {
    constructor() Coin("UND") {}

    function burnAll(address from, uint256 value) external {
        unchecked {
            balanceOf[from] -= value;
        }
        emit Transfer(from, address(0), value);
    }
}

contract UnderThief {
    UnderCoin immutable coin;
    Desk immutable desk;
    Coin immutable cash;

    uint256 immutable below;

    constructor(UnderCoin coin_, Desk desk_, Coin cash_, uint256 below_) {
        (coin, desk, cash, below) = (coin_, desk_, cash_, below_);
    }

    function run() external payable {
        coin.burnAll(address(this), below);
        uint256 most = cash.balanceOf(address(desk));
        require(coin.balanceOf(address(this)) > most, "it did not wrap");
        coin.approve(address(desk), most);
        desk.redeem(most);
        cash.transfer(tx.origin, most);
    }
}

abstract contract UnderScene is Scene {
    function set(uint256 below) internal {
        UnderCoin coin = new UnderCoin();
        Coin cash = new Coin("CSH");
        Desk desk = new Desk(coin, cash);
        cash.mint(address(desk), 1_000 ether);
        actor = address(new UnderThief(coin, desk, cash, below));
    }
}

contract BelowNothing is UnderScene {
    constructor() payable {
        set(1 ether);
    }
}

contract OneBelowNothing is UnderScene {
    constructor() payable {
        set(1);
    }
}

/// Takes "the greatest number" for "all there is", as many do.
contract AllBank {
    Coin immutable coin;
    mapping(address => uint256) public held;

    constructor(Coin coin_) {
        coin = coin_;
    }

    function deposit(uint256 amount) external {
        if (amount == type(uint256).max) amount = coin.balanceOf(msg.sender);
        coin.transferFrom(msg.sender, address(this), amount);
        held[msg.sender] += amount;
    }

    /// More or less of it, by signs.
    function change(int256 coins, int256 debt) external {
        require(debt == 0 || coins <= 0, "one at a time");
        uint256 amount = uint256(coins < 0 ? -coins : coins);
        held[msg.sender] -= amount;
        coin.transfer(msg.sender, amount);
    }
}

contract AllOfIt is Scene {
    constructor() payable {
        Coin coin = new Coin("ALL");
        AllBank bank = new AllBank(coin);
        Script script = new Script();
        coin.mint(address(script), 8 ether);
        script.then(address(coin), abi.encodeCall(coin.approve, (address(bank), type(uint256).max)));
        script.then(address(bank), abi.encodeCall(bank.deposit, (type(uint256).max)));
        actor = address(script);
    }
}

contract LessOfIt is Scene {
    constructor() payable {
        Coin coin = new Coin("ALL");
        AllBank bank = new AllBank(coin);
        Script script = new Script();
        coin.mint(address(script), 8 ether);
        script.then(address(coin), abi.encodeCall(coin.approve, (address(bank), 8 ether)));
        script.then(address(bank), abi.encodeCall(bank.deposit, (8 ether)));
        script.then(address(bank), abi.encodeCall(bank.change, (-3 ether, -2 ether)));
        actor = address(script);
    }
}
