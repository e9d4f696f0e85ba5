// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Pays a reward on what is staked. How long it has been there it only asks when it is told to.
contract Stakes {
    Coin public immutable coin;
    uint256 public immutable wait;
    mapping(address => uint256) public staked;
    mapping(address => uint256) public since;

    constructor(Coin coin_, uint256 wait_) {
        (coin, wait) = (coin_, wait_);
    }

    function stake(uint256 amount) external {
        coin.transferFrom(msg.sender, address(this), amount);
        staked[msg.sender] += amount;
        since[msg.sender] = block.timestamp;
    }

    function harvest() external {
        require(block.timestamp >= since[msg.sender] + wait, "too early");
        coin.transfer(msg.sender, staked[msg.sender] / 10);
    }

    function unstake() external {
        uint256 amount = staked[msg.sender];
        staked[msg.sender] = 0;
        coin.transfer(msg.sender, amount);
    }
}

/// Stakes, is paid, and goes, all at once.
contract StakeThief is Flash {
    Stakes immutable stakes;
    Lender immutable lender;

    constructor(Stakes stakes_, Lender lender_) {
        (stakes, lender) = (stakes_, lender_);
    }

    function run() external payable {
        Coin coin = stakes.coin();
        if (address(lender) == address(0)) borrowed(coin.balanceOf(address(this)));
        else lender.flashLoan(this, coin, coin.balanceOf(address(lender)), "");
        coin.transfer(tx.origin, coin.balanceOf(address(this)));
    }

    function borrowed(uint256 amount) internal override {
        stakes.coin().approve(address(stakes), amount);
        stakes.stake(amount);
        stakes.harvest();
        stakes.unstake();
    }
}

abstract contract StakeScene is Scene {
    function set(bool loan) internal {
        Coin coin = new Coin("STK");
        Stakes stakes = new Stakes(coin, 0);
        coin.mint(address(stakes), 500 ether);
        Lender lender = loan ? new Lender() : Lender(address(0));
        StakeThief thief = new StakeThief(stakes, lender);
        coin.mint(loan ? address(lender) : address(thief), 1_000 ether);
        actor = address(thief);
    }
}

contract RewardAtOnce is StakeScene {
    constructor() payable {
        set(false);
    }
}

contract RewardOnLoan is StakeScene {
    constructor() payable {
        set(true);
    }
}

/// Has staked long ago, gets its reward, and stakes that as well.
contract Patient {
    Stakes immutable stakes;

    constructor(Stakes stakes_) {
        stakes = stakes_;
    }

    function start() external {
        stakes.coin().approve(address(stakes), type(uint256).max);
        stakes.stake(100 ether);
    }

    function run() external payable {
        stakes.harvest();
        stakes.stake(10 ether);
    }
}

contract RewardWaitedFor is Scene {
    constructor() payable {
        Coin coin = new Coin("STK");
        Stakes stakes = new Stakes(coin, 0);
        coin.mint(address(stakes), 500 ether);
        Patient patient = new Patient(stakes);
        coin.mint(address(patient), 100 ether);
        patient.start();
        actor = address(patient);
    }
}

/// Sells and buys back at prices that somebody has set.
contract Counter {
    Coin immutable good;
    Coin immutable cash;
    uint256 immutable ask;
    uint256 immutable bid;

    constructor(Coin good_, Coin cash_, uint256 ask_, uint256 bid_) {
        (good, cash, ask, bid) = (good_, cash_, ask_, bid_);
    }

    function buy(uint256 amount) external {
        cash.transferFrom(msg.sender, address(this), amount * ask / 100);
        good.transfer(msg.sender, amount);
    }

    function sellBack(uint256 amount) external {
        good.transferFrom(msg.sender, address(this), amount);
        cash.transfer(msg.sender, amount * bid / 100);
    }
}

abstract contract CounterScene is Scene {
    Coin good = new Coin("GOOD");
    Coin cash = new Coin("CSH");
    Script script = new Script();

    function open(uint256 ask, uint256 bid) internal returns (Counter counter) {
        counter = new Counter(good, cash, ask, bid);
        good.mint(address(counter), 1_000 ether);
        cash.mint(address(counter), 1_000 ether);
        script.then(address(cash), abi.encodeCall(cash.approve, (address(counter), 1_000 ether)));
        script.then(address(good), abi.encodeCall(good.approve, (address(counter), 1_000 ether)));
        actor = address(script);
    }

    function trade(Counter from, Counter to) internal {
        cash.mint(address(script), 120 ether);
        script.then(address(from), abi.encodeCall(from.buy, (100 ether)));
        script.then(address(to), abi.encodeCall(to.sellBack, (100 ether)));
        script.then(address(cash), abi.encodeCall(cash.transfer, (PLAYER, 50 ether)));
    }
}

contract SoldBackDearer is CounterScene {
    constructor() payable {
        Counter counter = open(100, 110);
        trade(counter, counter);
    }
}

contract SoldBackCheaper is CounterScene {
    constructor() payable {
        Counter counter = open(110, 100);
        trade(counter, counter);
    }
}

/// Two counters do not agree, and somebody gains by it, as by any trade.
contract SoldElsewhere is CounterScene {
    constructor() payable {
        trade(open(100, 95), open(115, 110));
    }
}
