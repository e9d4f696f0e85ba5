// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// A pair whose liquidity is a token, too.
contract SharedPair is Coin {
    Coin public immutable token0;
    Coin public immutable token1;
    uint112 private reserve0;
    uint112 private reserve1;

    constructor(Coin a, Coin b) Coin("LP") {
        (token0, token1) = (a, b);
    }

    function getReserves() external view returns (uint112, uint112, uint32) {
        return (reserve0, reserve1, 0);
    }

    function update() private {
        reserve0 = uint112(token0.balanceOf(address(this)));
        reserve1 = uint112(token1.balanceOf(address(this)));
    }

    function mint(address to) external returns (uint256 liquidity) {
        uint256 in0 = token0.balanceOf(address(this)) - reserve0;
        liquidity = totalSupply == 0 ? in0 : in0 * totalSupply / reserve0;
        _add(to, liquidity);
        update();
    }

    function burn(address to) external returns (uint256 out0, uint256 out1) {
        uint256 held0 = token0.balanceOf(address(this));
        uint256 held1 = token1.balanceOf(address(this));
        uint256 liquidity = balanceOf[address(this)];
        (out0, out1) = (liquidity * held0 / totalSupply, liquidity * held1 / totalSupply);
        _take(address(this), liquidity);
        token0.transfer(to, out0);
        token1.transfer(to, out1);
        update();
    }

    function swap(uint256 out0, uint256 out1, address to, bytes calldata) external {
        if (out0 > 0) token0.transfer(to, out0);
        if (out1 > 0) token1.transfer(to, out1);
        uint256 held0 = token0.balanceOf(address(this));
        uint256 held1 = token1.balanceOf(address(this));
        require(held0 * held1 >= uint256(reserve0) * reserve1, "K");
        update();
    }
}

/// Takes liquidity out for those who bring it.
contract LiquidityRouter {
    SharedPair immutable pair;

    constructor(SharedPair pair_) {
        pair = pair_;
    }

    function removeLiquidity(address, address, uint256 liquidity, uint256, uint256, address to, uint256 deadline)
        external
    {
        require(deadline >= block.timestamp, "late");
        pair.transferFrom(msg.sender, address(pair), liquidity);
        pair.burn(to);
    }
}

/// A new token, its pool, and people's money in the pool.
abstract contract LaunchScene is Scene {
    Coin made = new Coin("MADE");
    Coin hard = new Coin("HARD");
    SharedPair pair = new SharedPair(made, hard);
    Script script = new Script();

    /// All liquidity for `to`, or that and as much for others.
    function launch(address to, bool others) internal {
        provide(to);
        if (others) provide(address(0x0742));
        // What buyers have paid since.
        hard.mint(address(pair), 50 ether);
        pair.swap(1 ether, 0, address(0xB0B), "");
        actor = address(script);
    }

    function provide(address to) private {
        made.mint(address(pair), 1_000 ether);
        hard.mint(address(pair), 10 ether);
        pair.mint(to);
    }

    function keep() internal {
        script.then(address(hard), abi.encodeCall(hard.transfer, (PLAYER, 55 ether)));
    }
}

contract LiquidityPulled is LaunchScene {
    constructor() payable {
        launch(address(script), false);
        script.then(address(pair), abi.encodeCall(pair.transfer, (address(pair), 1_000 ether)));
        script.then(address(pair), abi.encodeCall(pair.burn, (address(script))));
        keep();
    }
}

contract PulledByRouter is LaunchScene {
    constructor() payable {
        LiquidityRouter router = new LiquidityRouter(pair);
        launch(address(script), false);
        script.then(address(pair), abi.encodeCall(pair.approve, (address(router), 1_000 ether)));
        script.then(
            address(router),
            abi.encodeCall(
                router.removeLiquidity,
                (address(made), address(hard), 1_000 ether, 0, 0, address(script), type(uint256).max)
            )
        );
        keep();
    }
}

/// People lend it their liquidity, for rewards. Its owner may have all of it moved to a better place.
contract Farm {
    address public owner;
    SharedPair public immutable pair;
    Migrator public migrator;

    constructor(SharedPair pair_, address owner_) {
        (pair, owner) = (pair_, owner_);
    }

    function setMigrator(Migrator next) external {
        require(msg.sender == owner, "not the owner");
        migrator = next;
    }

    function migrate() external {
        uint256 all = pair.balanceOf(address(this));
        pair.approve(address(migrator), all);
        migrator.migrate(pair);
    }
}

interface Migrator {
    function migrate(SharedPair pair) external;
}

/// The better place is its own pocket.
contract FarmThief is Migrator {
    Farm public farm;

    function set(Farm farm_) external {
        farm = farm_;
    }

    function run() external payable {
        farm.setMigrator(this);
        farm.migrate();
        Coin hard = farm.pair().token1();
        hard.transfer(tx.origin, hard.balanceOf(address(this)));
    }

    function migrate(SharedPair pair) external {
        pair.transferFrom(msg.sender, address(pair), pair.balanceOf(msg.sender));
        pair.burn(address(this));
    }
}

contract FarmMigrated is LaunchScene {
    constructor() payable {
        FarmThief thief = new FarmThief();
        Farm farm = new Farm(pair, address(thief));
        thief.set(farm);
        launch(address(farm), false);
        actor = address(thief);
    }
}

/// The maker makes more of it than anyone has, and sells that.
contract OwnerMints is LaunchScene {
    constructor() payable {
        SelfMade own = new SelfMade(address(script));
        made = own;
        pair = new SharedPair(own, hard);
        own.mint(address(pair), 1_000 ether);
        hard.mint(address(pair), 60 ether);
        pair.mint(address(0xdead));
        script.then(address(own), abi.encodeCall(own.mint, (address(pair), 1_000_000 ether)));
        script.then(address(pair), abi.encodeCall(pair.swap, (0, 59.9 ether, PLAYER, "")));
        actor = address(script);
    }
}

/// Whose owner can mint whatever it said.
contract SelfMade is Coin {
    address immutable owner;

    constructor(address owner_) Coin("SELF") {
        owner = owner_;
    }

    function mint(address to, uint256 value) public override {
        require(msg.sender == owner || msg.sender == minter, "not the owner");
        _add(to, value);
    }
}

/// One of several takes its own out.
contract OneOfManyLeaves is LaunchScene {
    constructor() payable {
        launch(address(script), true);
        script.then(address(pair), abi.encodeCall(pair.transfer, (address(pair), 1_000 ether)));
        script.then(address(pair), abi.encodeCall(pair.burn, (address(script))));
    }
}

/// A part of the liquidity goes to another pool of the same coins.
contract LiquidityMoved is LaunchScene {
    constructor() payable {
        SharedPair next = new SharedPair(made, hard);
        launch(address(script), false);
        script.then(address(pair), abi.encodeCall(pair.transfer, (address(pair), 500 ether)));
        script.then(address(pair), abi.encodeCall(pair.burn, (address(next))));
        script.then(address(next), abi.encodeWithSignature("mint(address)", address(script)));
    }
}

/// Gives its coin to those who wait, and made it for that.
contract Rewards {
    SelfMade public coin;

    function set(SelfMade coin_) external {
        coin = coin_;
    }

    function harvest() external {
        coin.mint(msg.sender, 10 ether);
    }
}

contract RewardSold is LaunchScene {
    constructor() payable {
        Rewards rewards = new Rewards();
        SelfMade own = new SelfMade(address(rewards));
        rewards.set(own);
        pair = new SharedPair(own, hard);
        own.mint(address(pair), 1_000 ether);
        hard.mint(address(pair), 60 ether);
        pair.mint(address(0xdead));
        script.then(address(rewards), abi.encodeCall(rewards.harvest, ()));
        script.then(address(own), abi.encodeCall(own.transfer, (address(pair), 10 ether)));
        script.then(address(pair), abi.encodeCall(pair.swap, (0, 0.5 ether, PLAYER, "")));
        actor = address(script);
    }
}
