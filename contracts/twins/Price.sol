// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// What most of these scenes need: a pool, somebody who lends for a moment, a market.
abstract contract Exchange is Scene {
    Coin a = new Coin("AAA");
    Coin b = new Coin("BBB");
    Pair pair = new Pair(a, b);

    function fill(Pair to, uint256 amountA, uint256 amountB) internal {
        a.mint(address(to), amountA);
        b.mint(address(to), amountB);
        to.sync();
    }
}

/// Drives the price of the collateral up, borrows on it, and drives it down again.
abstract contract Pump is Trader {
    Pair immutable pair;
    Market immutable market;

    constructor(Pair pair_, Market market_) {
        (pair, market) = (pair_, market_);
    }

    function pump(uint256 amount) internal {
        Coin a = pair.token0();
        Coin b = pair.token1();
        uint256 got = sell(pair, a, amount);
        b.approve(address(market), got / 3);
        market.deposit(got / 3);
        uint256 most = (got / 3) * market.price() / 1e18 * 75 / 100;
        uint256 cash = a.balanceOf(address(market));
        market.borrow(most < cash ? most : cash);
        sell(pair, b, b.balanceOf(address(this)));
    }
}

contract FlashPump is Pump, Flash {
    Lender immutable lender;

    constructor(Pair pair, Market market, Lender lender_) Pump(pair, market) {
        lender = lender_;
    }

    function run() external payable {
        Coin a = pair.token0();
        lender.flashLoan(this, a, 9_000 ether, "");
        a.transfer(tx.origin, a.balanceOf(address(this)));
    }

    function borrowed(uint256 amount) internal override {
        pump(amount);
    }
}

contract OwnPump is Pump {
    constructor(Pair pair, Market market) Pump(pair, market) {}

    function run() external payable {
        Coin a = pair.token0();
        pump(a.balanceOf(address(this)));
        a.transfer(tx.origin, a.balanceOf(address(this)));
    }
}

contract FlashOracle is Exchange {
    constructor() payable {
        fill(pair, 1_000 ether, 1_000 ether);
        Market market = new Market(pair);
        a.mint(address(market), 20_000 ether);
        Lender lender = new Lender();
        a.mint(address(lender), 10_000 ether);
        actor = address(new FlashPump(pair, market, lender));
    }
}

contract OwnOracle is Exchange {
    constructor() payable {
        fill(pair, 1_000 ether, 1_000 ether);
        Market market = new Market(pair);
        a.mint(address(market), 20_000 ether);
        OwnPump pump = new OwnPump(pair, market);
        a.mint(address(pump), 9_000 ether);
        actor = address(pump);
    }
}

/// Sells token0 for token1 at the price that the pool shows, whatever the amount.
contract Desk {
    Pair immutable pair;

    constructor(Pair pair_) {
        pair = pair_;
    }

    function redeem(uint256 amount) external {
        (uint112 r0, uint112 r1,) = pair.getReserves();
        pair.token1().transferFrom(msg.sender, address(this), amount);
        pair.token0().transfer(msg.sender, amount * r0 / r1);
    }
}

contract DeskThief is Trader, Flash {
    Pair immutable pair;
    Desk immutable desk;
    Lender immutable lender;

    constructor(Pair pair_, Desk desk_, Lender lender_) {
        (pair, desk, lender) = (pair_, desk_, lender_);
    }

    function run() external payable {
        Coin a = pair.token0();
        lender.flashLoan(this, a, 4_000 ether, "");
        a.transfer(tx.origin, a.balanceOf(address(this)));
    }

    function borrowed(uint256 amount) internal override {
        Coin b = pair.token1();
        uint256 got = sell(pair, pair.token0(), amount);
        uint256 part = got / 4;
        b.approve(address(desk), part);
        desk.redeem(part);
        sell(pair, b, got - part);
    }
}

contract SpotDesk is Exchange {
    constructor() payable {
        fill(pair, 1_000 ether, 1_000 ether);
        Desk desk = new Desk(pair);
        a.mint(address(desk), 20_000 ether);
        Lender lender = new Lender();
        a.mint(address(lender), 5_000 ether);
        actor = address(new DeskThief(pair, desk, lender));
    }
}

contract Arbitrageur is Trader {
    Pair immutable dear;
    Pair immutable cheap;

    constructor(Pair dear_, Pair cheap_) {
        (dear, cheap) = (dear_, cheap_);
    }

    function run() external payable {
        Coin a = cheap.token0();
        uint256 got = sell(cheap, a, 50 ether);
        sell(dear, cheap.token1(), got);
        a.transfer(tx.origin, a.balanceOf(address(this)));
    }
}

contract Arbitrage is Exchange {
    constructor() payable {
        Pair other = new Pair(a, b);
        fill(pair, 1_000 ether, 1_000 ether);
        fill(other, 1_500 ether, 1_000 ether);
        Arbitrageur one = new Arbitrageur(other, pair);
        a.mint(address(one), 50 ether);
        actor = address(one);
    }
}

contract FlashArbitrageur is Trader, Flash {
    Pair immutable dear;
    Pair immutable cheap;
    Lender immutable lender;

    constructor(Pair dear_, Pair cheap_, Lender lender_) {
        (dear, cheap, lender) = (dear_, cheap_, lender_);
    }

    function run() external payable {
        Coin a = cheap.token0();
        lender.flashLoan(this, a, 80 ether, "");
        a.transfer(tx.origin, a.balanceOf(address(this)));
    }

    function borrowed(uint256 amount) internal override {
        uint256 got = sell(cheap, cheap.token0(), amount);
        sell(dear, cheap.token1(), got);
    }
}

contract FlashArbitrage is Exchange {
    constructor() payable {
        Pair other = new Pair(a, b);
        fill(pair, 1_000 ether, 1_000 ether);
        fill(other, 1_500 ether, 1_000 ether);
        Lender lender = new Lender();
        a.mint(address(lender), 1_000 ether);
        actor = address(new FlashArbitrageur(other, pair, lender));
    }
}

/// Owes more than is good, once the price falls.
contract Debtor {
    constructor(Market market, uint256 amount) {
        market.collateral().approve(address(market), amount);
    }

    function open(Market market, uint256 amount, uint256 debt) external {
        market.deposit(amount);
        market.borrow(debt);
    }
}

contract FlashLiquidator is Trader, Flash {
    Pair immutable pair;
    Market immutable market;
    Lender immutable lender;
    address immutable debtor;

    constructor(Pair pair_, Market market_, Lender lender_, address debtor_) {
        (pair, market, lender, debtor) = (pair_, market_, lender_, debtor_);
    }

    function run() external payable {
        Coin a = pair.token0();
        lender.flashLoan(this, a, 30 ether, "");
        a.transfer(tx.origin, a.balanceOf(address(this)));
    }

    function borrowed(uint256 amount) internal override {
        Coin a = pair.token0();
        Coin b = pair.token1();
        a.approve(address(market), amount);
        market.liquidationCall(address(b), address(a), debtor, amount, false);
        sell(pair, b, b.balanceOf(address(this)));
    }
}

contract FlashLiquidation is Exchange, Trader {
    constructor() payable {
        fill(pair, 10_000 ether, 10_000 ether);
        Market market = new Market(pair);
        a.mint(address(market), 1_000 ether);
        Debtor debtor = new Debtor(market, 100 ether);
        b.mint(address(debtor), 100 ether);
        debtor.open(market, 100 ether, 75 ether);
        // The price of the collateral falls.
        b.mint(address(this), 1_000 ether);
        sell(pair, b, 1_000 ether);
        Lender lender = new Lender();
        a.mint(address(lender), 1_000 ether);
        actor = address(new FlashLiquidator(pair, market, lender, address(debtor)));
    }
}

/// Borrows for a moment to hold more of what it believes in.
contract Leverager is Trader, Flash {
    Pair immutable pair;
    Market immutable market;
    Lender immutable lender;

    constructor(Pair pair_, Market market_, Lender lender_) {
        (pair, market, lender) = (pair_, market_, lender_);
    }

    function run() external payable {
        lender.flashLoan(this, pair.token0(), 60 ether, "");
    }

    function borrowed(uint256 amount) internal override {
        Coin b = pair.token1();
        sell(pair, pair.token0(), amount);
        uint256 all = b.balanceOf(address(this));
        b.approve(address(market), all);
        market.deposit(all);
        market.borrow(amount);
    }
}

contract Leverage is Exchange {
    constructor() payable {
        fill(pair, 100_000 ether, 100_000 ether);
        Market market = new Market(pair);
        a.mint(address(market), 1_000 ether);
        Lender lender = new Lender();
        a.mint(address(lender), 1_000 ether);
        Leverager one = new Leverager(pair, market, lender);
        b.mint(address(one), 50 ether);
        actor = address(one);
    }
}

/// Buys and sells again, and pays the fees.
contract RoundTripper is Trader {
    Pair immutable pair;

    constructor(Pair pair_) {
        pair = pair_;
    }

    function run() external payable {
        uint256 got = sell(pair, pair.token0(), 40 ether);
        sell(pair, pair.token1(), got);
    }
}

contract RoundTrip is Exchange {
    constructor() payable {
        fill(pair, 1_000 ether, 1_000 ether);
        RoundTripper one = new RoundTripper(pair);
        a.mint(address(one), 40 ether);
        actor = address(one);
    }
}
