// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Does what so many of its keys have signed. Whose hands the keys are in it cannot know.
contract KeyedWallet {
    address[] public keys;
    uint256 public immutable least;
    uint256 public number;

    constructor(address[] memory keys_, uint256 least_) payable {
        (keys, least) = (keys_, least_);
    }

    function order(address[] calldata targets, bytes[] calldata data) public view returns (bytes32) {
        return keccak256(abi.encode(address(this), number, targets, data));
    }

    function change(address[] calldata next) external {
        require(msg.sender == address(this), "not by order");
        keys = next;
    }

    function carryOut(address[] calldata targets, bytes[] calldata data, bytes[] calldata signatures) external {
        bytes32 digest = order(targets, data);
        number++;
        for (uint256 i = 0; i < least; i++) {
            (uint8 v, bytes32 r, bytes32 s) = abi.decode(signatures[i], (uint8, bytes32, bytes32));
            require(ecrecover(digest, v, r, s) == keys[i], "not signed");
        }
        for (uint256 i = 0; i < targets.length; i++) {
            (bool done,) = targets[i].call(data[i]);
            require(done, "failed");
        }
    }
}

abstract contract WalletScene is Scene {
    KeyedWallet wallet;
    Script script = new Script();
    address[] targets;
    bytes[] data;

    function open() internal {
        address[] memory keys = new address[](3);
        for (uint256 i = 0; i < 3; i++) keys[i] = Signing.account(0x71 + i);
        wallet = new KeyedWallet(keys, 2);
        actor = address(script);
    }

    function send(string memory symbol, address to, uint256 amount) internal {
        Coin coin = new Coin(symbol);
        coin.mint(address(wallet), 100 ether);
        targets.push(address(coin));
        data.push(abi.encodeCall(coin.transfer, (to, amount)));
    }

    function signed() internal {
        bytes32 digest = wallet.order(targets, data);
        bytes[] memory signatures = new bytes[](2);
        for (uint256 i = 0; i < 2; i++) {
            (uint8 v, bytes32 r, bytes32 s) = Signing.sign(0x71 + i, digest);
            signatures[i] = abi.encode(v, r, s);
        }
        script.then(address(wallet), abi.encodeCall(wallet.carryOut, (targets, data, signatures)));
    }
}

contract WalletEmptied is WalletScene {
    constructor() payable {
        open();
        send("ONE", address(0xBAD), 100 ether);
        send("TWO", address(0xBAD), 100 ether);
        send("TRI", address(0xBAD), 100 ether);
        signed();
    }
}

contract WagesPaid is WalletScene {
    constructor() payable {
        open();
        send("ONE", address(0xA), 2 ether);
        send("TWO", address(0xB), 3 ether);
        send("TRI", address(0xC), 4 ether);
        signed();
    }
}

contract KeysChanged is WalletScene {
    constructor() payable {
        open();
        address[] memory next = new address[](3);
        for (uint256 i = 0; i < 3; i++) next[i] = Signing.account(0x91 + i);
        targets.push(address(wallet));
        data.push(abi.encodeCall(wallet.change, (next)));
        signed();
    }
}

/// Holds what people have left with it. Its owner may take out what got there by mistake.
contract Store {
    address public immutable owner;
    Coin[] coins;

    constructor(address owner_) payable {
        owner = owner_;
    }

    modifier owned() {
        require(msg.sender == owner, "not the owner");
        _;
    }

    function list(Coin coin) external {
        coins.push(coin);
    }

    function rescueTokens() external owned {
        for (uint256 i = 0; i < coins.length; i++) {
            coins[i].transfer(msg.sender, coins[i].balanceOf(address(this)));
        }
    }

    function ownerWithdraw() external owned {
        (bool sent,) = msg.sender.call{value: address(this).balance}("");
        require(sent, "not sent");
    }

    function forward(address to) external owned {
        for (uint256 i = 0; i < coins.length; i++) {
            coins[i].transfer(to, coins[i].balanceOf(address(this)));
        }
    }
}

abstract contract StoreScene is Scene {
    function fill(Store store, uint256 count) internal {
        string[4] memory names = ["ONE", "TWO", "TRI", "FOR"];
        for (uint256 i = 0; i < count; i++) {
            Coin coin = new Coin(names[i]);
            coin.mint(address(store), 100 ether);
            store.list(coin);
        }
    }
}

contract TokensRescued is StoreScene {
    constructor() payable {
        Store store = new Store(PLAYER);
        fill(store, 2);
        actor = address(store);
    }
}

contract CoinsWithdrawn is StoreScene {
    constructor() payable {
        actor = address(new Store{value: msg.value}(PLAYER));
    }
}

/// An operator of whose key somebody else has a copy.
contract StoreForwarded is StoreScene {
    constructor() payable {
        Script script = new Script();
        Store store = new Store(address(script));
        fill(store, 4);
        script.then(address(store), abi.encodeCall(store.forward, (address(0xBAD))));
        actor = address(script);
    }
}

/// Two kinds of earnings go to where they always go.
contract EarningsForwarded is StoreScene {
    constructor() payable {
        Script script = new Script();
        Store store = new Store(address(script));
        fill(store, 2);
        script.then(address(store), abi.encodeCall(store.forward, (address(0x7EA5))));
        actor = address(script);
    }
}

/// Brings three coins to where they are kept.
contract StoreFilled is Scene {
    constructor() payable {
        Script script = new Script();
        Store store = new Store(address(script));
        string[3] memory names = ["ONE", "TWO", "TRI"];
        for (uint256 i = 0; i < 3; i++) {
            Coin coin = new Coin(names[i]);
            coin.mint(address(script), 100 ether);
            script.then(address(coin), abi.encodeCall(coin.transfer, (address(store), 50 ether)));
            script.then(address(store), abi.encodeCall(store.list, (coin)));
        }
        actor = address(script);
    }
}

/// Gives a part of all it holds for its shares.
contract Basket is Coin {
    Coin[] coins;

    constructor() Coin("BSK") {}

    function add(Coin coin) external {
        coins.push(coin);
    }

    function redeem(uint256 shares) external {
        uint256 all = totalSupply;
        _take(msg.sender, shares);
        for (uint256 i = 0; i < coins.length; i++) {
            coins[i].transfer(msg.sender, coins[i].balanceOf(address(this)) * shares / all);
        }
    }
}

contract BasketRedeemed is Scene {
    constructor() payable {
        Basket basket = new Basket();
        string[3] memory names = ["ONE", "TWO", "TRI"];
        for (uint256 i = 0; i < 3; i++) {
            Coin coin = new Coin(names[i]);
            coin.mint(address(basket), 100 ether);
            basket.add(coin);
        }
        Script script = new Script();
        basket.mint(address(script), 1 ether);
        basket.mint(address(0xB0B), 9 ether);
        script.then(address(basket), abi.encodeCall(basket.redeem, (1 ether)));
        actor = address(script);
    }
}

/// Gives each what it has earned of several coins.
contract Earned {
    Coin[] coins;

    function add(Coin coin) external {
        coins.push(coin);
    }

    function collect() external {
        for (uint256 i = 0; i < coins.length; i++) coins[i].transfer(msg.sender, 1 ether);
    }
}

contract EarnedCollected is Scene {
    constructor() payable {
        Earned earned = new Earned();
        string[3] memory names = ["ONE", "TWO", "TRI"];
        for (uint256 i = 0; i < 3; i++) {
            Coin coin = new Coin(names[i]);
            coin.mint(address(earned), 100 ether);
            earned.add(coin);
        }
        Script script = new Script();
        script.then(address(earned), abi.encodeCall(earned.collect, ()));
        actor = address(script);
    }
}
