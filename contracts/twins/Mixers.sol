// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Takes coins with a secret's hash, and gives them to whoever knows the secret.
contract Mixer {
    mapping(bytes32 => bool) public known;
    mapping(bytes32 => bool) public spent;

    function deposit(bytes32 commitment) external payable {
        require(msg.value == 1 ether && !known[commitment], "not one coin");
        known[commitment] = true;
    }

    /// The proof is the secret itself, which real mixers know better than to ask for.
    function withdraw(
        bytes calldata proof,
        bytes32,
        bytes32 nullifier,
        address payable recipient,
        address payable,
        uint256,
        uint256
    ) external {
        require(known[keccak256(proof)] && !spent[nullifier], "not proven");
        spent[nullifier] = true;
        (bool sent,) = recipient.call{value: 1 ether}("");
        require(sent, "not sent");
    }
}

/// Takes over a vault of coins, and has them mixed at once.
contract MixingThief {
    OpenStore immutable store;
    Mixer immutable mixer;

    constructor(OpenStore store_, Mixer mixer_) {
        (store, mixer) = (store_, mixer_);
    }

    function run() external payable {
        store.transferOwnership(address(this));
        store.close();
        for (uint256 i = 0; i < 5; i++) mixer.deposit{value: 1 ether}(keccak256(abi.encode(i)));
    }

    receive() external payable {}
}

/// Anyone may own it, and owners may close it.
contract OpenStore {
    address owner;

    constructor() payable {}

    function transferOwnership(address next) external {
        owner = next;
    }

    function close() external {
        require(msg.sender == owner, "not the owner");
        (bool sent,) = msg.sender.call{value: address(this).balance}("");
        require(sent, "not sent");
    }
}

contract LootMixed is Scene {
    constructor() payable {
        actor = address(new MixingThief(new OpenStore{value: 5 ether}(), new Mixer()));
    }
}

/// Has coins, and puts them where its scene says.
contract Depositor {
    address immutable target;

    constructor(address target_) payable {
        target = target_;
    }

    function run() external payable {
        Mixer(target).deposit{value: 1 ether}("secret");
    }
}

contract CoinsMixed is Scene {
    constructor() payable {
        actor = address(new Depositor{value: 2 ether}(address(new Mixer())));
    }
}

contract CoinsUnmixed is Scene {
    constructor() payable {
        Mixer mixer = new Mixer();
        mixer.deposit{value: 1 ether}(keccak256("secret"));
        Script script = new Script();
        script.then(
            address(mixer),
            abi.encodeCall(mixer.withdraw, ("secret", 0, "once", payable(PLAYER), payable(0), 0, 0))
        );
        actor = address(script);
    }
}

/// Has a function that is called like a mixer's, and takes no money.
contract Registry {
    mapping(bytes32 => address) public owner;

    function deposit(bytes32 name) external {
        require(owner[name] == address(0), "taken");
        owner[name] = msg.sender;
    }
}

contract NameRegistered is Scene {
    constructor() payable {
        Registry registry = new Registry();
        Script script = new Script();
        script.then(address(registry), abi.encodeCall(registry.deposit, ("name")));
        actor = address(script);
    }
}

/// Wrapped coins.
contract WrappedCoin is Coin {
    constructor() Coin("WCN") {}

    function deposit() external payable {
        _add(msg.sender, msg.value);
    }
}

contract Wrapper {
    WrappedCoin immutable coin;

    constructor(WrappedCoin coin_) payable {
        coin = coin_;
    }

    function run() external payable {
        coin.deposit{value: address(this).balance}();
    }
}

contract CoinsWrapped is Scene {
    constructor() payable {
        actor = address(new Wrapper{value: msg.value}(new WrappedCoin()));
    }
}

/// Pays whoever knows what a ticket says.
contract Tickets {
    constructor() payable {}

    function redeem(bytes calldata ticket, address payable to) external {
        require(keccak256(ticket) == keccak256("ticket"), "no such ticket");
        (bool sent,) = to.call{value: 1 ether}("");
        require(sent, "not sent");
    }
}

contract TicketRedeemed is Scene {
    constructor() payable {
        Tickets tickets = new Tickets{value: 5 ether}();
        Script script = new Script();
        script.then(address(tickets), abi.encodeCall(tickets.redeem, ("ticket", payable(PLAYER))));
        actor = address(script);
    }
}
