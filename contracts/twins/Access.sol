// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Holds a coin for its owner. Anyone can become the owner.
contract OpenVault {
    Coin public immutable coin;
    address public owner;

    constructor(Coin coin_) {
        coin = coin_;
        owner = msg.sender;
    }

    function transferOwnership(address next) external virtual {
        owner = next;
    }

    function initialize(address next) external virtual {
        owner = next;
    }

    function sweep(address to) external {
        require(msg.sender == owner, "not the owner");
        coin.transfer(to, coin.balanceOf(address(this)));
    }
}

contract ClosedVault is OpenVault {
    constructor(Coin coin_) OpenVault(coin_) {}

    function transferOwnership(address next) external override {
        require(msg.sender == owner, "not the owner");
        owner = next;
    }

    function initialize(address) external pure override {
        revert("initialised");
    }
}

contract OwnershipThief {
    OpenVault immutable vault;
    bool immutable byInitializer;

    constructor(OpenVault vault_, bool byInitializer_) {
        (vault, byInitializer) = (vault_, byInitializer_);
    }

    function run() external payable {
        if (byInitializer) vault.initialize(address(this));
        else vault.transferOwnership(address(this));
        vault.sweep(address(this));
        Coin coin = vault.coin();
        coin.transfer(tx.origin, coin.balanceOf(address(this)));
    }
}

contract OwnershipTaken is Scene {
    constructor() payable {
        Coin coin = new Coin("OWN");
        OpenVault vault = new OpenVault(coin);
        coin.mint(address(vault), 100 ether);
        actor = address(new OwnershipThief(vault, false));
    }
}

contract InitializedAgain is Scene {
    constructor() payable {
        Coin coin = new Coin("OWN");
        OpenVault vault = new OpenVault(coin);
        coin.mint(address(vault), 100 ether);
        actor = address(new OwnershipThief(vault, true));
    }
}

/// A coin whose mint nobody guards.
contract LooseCoin is Coin {
    constructor() Coin("LOOSE") {}

    function mint(address to, uint256 value) public override {
        _add(to, value);
    }
}

contract Minter is Trader {
    Pair immutable pair;

    constructor(Pair pair_) {
        pair = pair_;
    }

    function run() external payable {
        Coin loose = pair.token0();
        loose.mint(address(this), 1_000_000 ether);
        uint256 got = sell(pair, loose, 1_000_000 ether);
        pair.token1().transfer(tx.origin, got);
    }
}

contract MintedByAnyone is Scene {
    constructor() payable {
        LooseCoin loose = new LooseCoin();
        Coin coin = new Coin("HARD");
        Pair pair = new Pair(loose, coin);
        loose.mint(address(pair), 1_000 ether);
        coin.mint(address(pair), 1_000 ether);
        pair.sync();
        actor = address(new Minter(pair));
    }
}

/// Hands its vault on to the next in charge.
contract Steward {
    OpenVault public vault;
    address immutable next;

    constructor(Coin coin, address next_) {
        vault = new ClosedVault(coin);
        next = next_;
    }

    function run() external payable {
        vault.transferOwnership(next);
    }
}

contract OwnershipHandedOn is Scene {
    constructor() payable {
        Coin coin = new Coin("OWN");
        Steward steward = new Steward(coin, address(0xBEEF));
        coin.mint(address(steward.vault()), 100 ether);
        actor = address(steward);
    }
}

/// Takes what is its own out to its treasury.
contract Treasurer {
    OpenVault public vault;

    constructor(Coin coin) {
        vault = new ClosedVault(coin);
    }

    function run() external payable {
        vault.sweep(address(0x7EA5));
    }
}

contract OwnerSweeps is Scene {
    constructor() payable {
        Coin coin = new Coin("OWN");
        Treasurer treasurer = new Treasurer(coin);
        coin.mint(address(treasurer.vault()), 100 ether);
        actor = address(treasurer);
    }
}

contract Clone {
    address public owner;
    Coin public coin;

    function initialize(address owner_, Coin coin_) external {
        require(owner == address(0), "initialised");
        (owner, coin) = (owner_, coin_);
    }

    function put(uint256 amount) external {
        coin.transferFrom(msg.sender, address(this), amount);
    }
}

/// Makes a vault of its own, sets it up, and fills it, all at once.
contract Opener {
    Coin immutable coin;

    constructor(Coin coin_) {
        coin = coin_;
    }

    function run() external payable {
        Clone clone = new Clone();
        clone.initialize(address(this), coin);
        coin.approve(address(clone), 10 ether);
        clone.put(10 ether);
    }
}

contract FreshInitialized is Scene {
    constructor() payable {
        Coin coin = new Coin("OWN");
        Opener opener = new Opener(coin);
        coin.mint(address(opener), 10 ether);
        actor = address(opener);
    }
}

/// A wallet that runs modules as its own code. Whose they are it does not ask.
contract ModularWallet {
    address public immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function run(address module, bytes calldata data) external virtual {
        (bool done,) = module.delegatecall(data);
        require(done, "failed");
    }
}

contract GuardedWallet is ModularWallet {
    constructor(address owner_) ModularWallet(owner_) {}

    function run(address module, bytes calldata data) external override {
        require(msg.sender == owner, "not the owner");
        (bool done,) = module.delegatecall(data);
        require(done, "failed");
    }
}

contract PayModule {
    function pay(Coin coin, address to, uint256 amount) external {
        coin.transfer(to, amount);
    }
}

contract ModuleUser {
    ModularWallet public wallet;
    Coin immutable coin;
    PayModule immutable module;
    address immutable to;

    constructor(Coin coin_, PayModule module_, address to_) {
        (coin, module, to) = (coin_, module_, to_);
    }

    function set(ModularWallet wallet_) external {
        wallet = wallet_;
    }

    function run() external payable {
        PayModule mine = address(module) == address(0) ? new PayModule() : module;
        uint256 amount = to == address(0) ? coin.balanceOf(address(wallet)) : 5 ether;
        address payee = to == address(0) ? tx.origin : to;
        wallet.run(address(mine), abi.encodeCall(PayModule.pay, (coin, payee, amount)));
    }
}

contract ModuleOfStranger is Scene {
    constructor() payable {
        Coin coin = new Coin("MOD");
        ModuleUser user = new ModuleUser(coin, PayModule(address(0)), address(0));
        user.set(new ModularWallet(address(0xBEEF)));
        coin.mint(address(user.wallet()), 100 ether);
        actor = address(user);
    }
}

contract ModuleOfOwner is Scene {
    constructor() payable {
        Coin coin = new Coin("MOD");
        ModuleUser user = new ModuleUser(coin, new PayModule(), address(0xF00D));
        user.set(new GuardedWallet(address(user)));
        coin.mint(address(user.wallet()), 100 ether);
        actor = address(user);
    }
}
