// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Whose signature the bridge goes by, and which messages it has carried out. Only the bridge writes.
contract KeeperBooks {
    address public bridge;
    bytes public keeper;
    mapping(bytes32 => bool) public done;

    constructor(address bridge_, address keeper_) {
        (bridge, keeper) = (bridge_, abi.encode(keeper_));
    }

    modifier ours() {
        require(msg.sender == bridge, "not the bridge");
        _;
    }

    function mark(bytes32 id) external ours {
        done[id] = true;
    }

    function putKeeper(bytes calldata next, bytes calldata, uint64) external ours {
        keeper = next;
    }
}

/// Carries out what comes from another chain, whoever brings it, if the keeper has signed it.
contract KeeperBridge {
    KeeperBooks public immutable books;

    constructor(address keeper) {
        books = new KeeperBooks(address(this), keeper);
    }

    function verifyHeaderAndExecuteTx(
        bytes calldata proof,
        bytes calldata header,
        bytes calldata,
        bytes calldata,
        bytes calldata signature
    ) external {
        checkSigned(header, signature);
        require(keccak256(proof) == abi.decode(header, (bytes32)), "not proven");
        require(!books.done(keccak256(proof)), "done");
        books.mark(keccak256(proof));
        (address to, bytes4 method, bytes memory data) = abi.decode(proof, (address, bytes4, bytes));
        (bool sent,) = to.call(abi.encodeWithSelector(method, data, abi.encode(block.chainid), uint64(7)));
        require(sent, "failed");
    }

    function checkSigned(bytes calldata header, bytes calldata signature) internal view {
        (uint8 v, bytes32 r, bytes32 s) = abi.decode(signature, (uint8, bytes32, bytes32));
        address keeper = abi.decode(books.keeper(), (address));
        require(ecrecover(keccak256(header), v, r, s) == keeper, "not signed");
    }
}

/// Holds what has gone to the other chain.
contract Locker {
    KeeperBridge immutable bridge;
    Coin immutable coin;

    constructor(KeeperBridge bridge_, Coin coin_) {
        (bridge, coin) = (bridge_, coin_);
    }

    function unlock(bytes calldata data, bytes calldata, uint64) external {
        require(msg.sender == address(bridge), "not the bridge");
        (address to, uint256 amount) = abi.decode(data, (address, uint256));
        coin.transfer(to, amount);
    }
}

/// What an application was told from the other chain.
contract Told {
    bytes public last;

    function tell(bytes calldata data, bytes calldata, uint64) external {
        last = data;
    }
}

abstract contract KeeperScene is Scene {
    uint256 constant KEY = 0x61;
    Coin coin = new Coin("BRG");
    KeeperBridge bridge = new KeeperBridge(Signing.account(KEY));
    Locker locker = new Locker(bridge, coin);
    Script script = new Script();

    function bring(uint256 key, address to, bytes4 method, bytes memory data) internal {
        bytes memory proof = abi.encode(to, method, data);
        bytes memory header = abi.encode(keccak256(proof));
        (uint8 v, bytes32 r, bytes32 s) = Signing.sign(key, keccak256(header));
        script.then(
            address(bridge),
            abi.encodeCall(bridge.verifyHeaderAndExecuteTx, (proof, header, "", "", abi.encode(v, r, s)))
        );
        coin.mint(address(locker), 100 ether);
        actor = address(script);
    }

    function unlock(uint256 key, address to, uint256 amount) internal {
        bring(key, address(locker), locker.unlock.selector, abi.encode(to, amount));
    }
}

/// Anyone may have a message sent from the other chain. This one makes another the keeper.
contract KeeperReplaced is KeeperScene {
    constructor() payable {
        KeeperBooks books = bridge.books();
        bring(KEY, address(books), books.putKeeper.selector, abi.encode(Signing.account(0xBAD)));
        unlock(0xBAD, address(script), 100 ether);
        script.then(address(coin), abi.encodeCall(coin.transfer, (PLAYER, 100 ether)));
    }
}

contract UnlockedForOther is KeeperScene {
    constructor() payable {
        unlock(KEY, address(0xF00D), 10 ether);
    }
}

contract UnlockedForOneself is KeeperScene {
    constructor() payable {
        unlock(KEY, address(script), 10 ether);
    }
}

contract ApplicationTold is KeeperScene {
    constructor() payable {
        bring(KEY, address(new Told()), Told.tell.selector, abi.encode(uint256(42)));
    }
}

/// A coin that its bridges mint.
contract BridgedCoin is Coin {
    Roles immutable roles;

    constructor() Coin("XCH") {
        roles = Roles(msg.sender);
    }

    function issue(address to, uint256 value) external {
        require(roles.minter(msg.sender), "not a minter");
        _add(to, value);
    }
}

/// Who may mint, and what the messenger has passed on: both are the messenger's to say.
contract Roles {
    address immutable messenger;
    BridgedCoin public immutable coin;
    bool public paused;
    mapping(address => bool) public minter;
    mapping(bytes32 => bool) public relayed;

    constructor() {
        messenger = msg.sender;
        coin = new BridgedCoin();
    }

    modifier ours() {
        require(msg.sender == messenger, "not the messenger");
        _;
    }

    function setRelayed(bytes32 id) external ours {
        relayed[id] = true;
    }

    function setMinter(address who, bool may) external ours {
        minter[who] = may;
    }
}

/// Passes on what anyone has sent on the other chain, in its own name.
contract Messenger {
    Roles public immutable roles = new Roles();

    function relayMessage(uint256 nonce, address from, address to, uint256 value, uint256 gas, bytes calldata data)
        external
    {
        bytes32 id = keccak256(abi.encode(nonce, from, to, value, gas, data));
        require(!roles.paused(), "paused");
        require(!roles.relayed(id), "relayed");
        roles.setRelayed(id);
        (bool sent,) = to.call(data);
        require(sent, "failed");
    }
}

contract MinterByMessage is Scene {
    constructor() payable {
        Messenger messenger = new Messenger();
        Roles roles = messenger.roles();
        Script script = new Script();
        bytes memory grant = abi.encodeCall(roles.setMinter, (address(script), true));
        script.then(
            address(messenger),
            abi.encodeCall(messenger.relayMessage, (1, address(0xBAD), address(roles), 0, 100_000, grant))
        );
        BridgedCoin coin = roles.coin();
        script.then(address(coin), abi.encodeCall(coin.issue, (PLAYER, 1_000_000 ether)));
        actor = address(script);
    }
}

/// Those whose word counts for messages, and the numbers of those that came.
contract Attesters {
    address immutable transmitter;
    mapping(address => bool) public enabled;
    mapping(uint256 => bool) public used;

    constructor(address attester) {
        transmitter = msg.sender;
        enabled[attester] = true;
    }

    modifier ours() {
        require(msg.sender == transmitter, "not the transmitter");
        _;
    }

    function use(uint256 number) external ours {
        require(!used[number], "used");
        used[number] = true;
    }

    function enable(address attester, uint256) external ours {
        enabled[attester] = true;
    }

    /// By a message that was attested, but only to the place that it is meant for.
    function rotate(address from, address to) external ours {
        enabled[from] = false;
        enabled[to] = true;
    }
}

/// Hands messages to whom they name, if they are attested.
contract Transmitter {
    Attesters public immutable attesters;

    constructor(address attester) {
        attesters = new Attesters(attester);
    }

    function receiveMessage(bytes calldata message, bytes calldata attestation) external returns (bool) {
        (uint8 v, bytes32 r, bytes32 s) = abi.decode(attestation, (uint8, bytes32, bytes32));
        address attester = ecrecover(keccak256(message), v, r, s);
        require(attesters.enabled(attester), "not attested");
        (uint256 number, address to, bytes memory data) = abi.decode(message, (uint256, address, bytes));
        attesters.use(number);
        if (to == address(0)) {
            (address from, address next) = abi.decode(data, (address, address));
            attesters.rotate(from, next);
        } else {
            (bool sent,) = to.call(data);
            require(sent, "failed");
        }
        return true;
    }
}

/// Pays what messages tell it to.
contract Mint {
    Transmitter immutable transmitter;
    Coin immutable coin;

    constructor(Transmitter transmitter_) {
        transmitter = transmitter_;
        coin = new Coin("USB");
        coin.mint(address(this), 500 ether);
    }

    function pay(address to, uint256 amount) external {
        require(msg.sender == address(transmitter), "not the transmitter");
        coin.transfer(to, amount);
    }
}

abstract contract AttestedScene is Scene {
    uint256 constant KEY = 0x62;
    Transmitter transmitter = new Transmitter(Signing.account(KEY));
    Mint mint = new Mint(transmitter);
    Script script = new Script();

    function bring(uint256 key, uint256 number, address to, bytes memory data) internal {
        bytes memory message = abi.encode(number, to, data);
        (uint8 v, bytes32 r, bytes32 s) = Signing.sign(key, keccak256(message));
        script.then(
            address(transmitter), abi.encodeCall(transmitter.receiveMessage, (message, abi.encode(v, r, s)))
        );
        actor = address(script);
    }
}

contract AttesterEnabled is AttestedScene {
    constructor() payable {
        Attesters attesters = transmitter.attesters();
        bytes memory enable = abi.encodeCall(attesters.enable, (Signing.account(0xBAD), 1));
        bring(KEY, 1, address(attesters), enable);
        bring(0xBAD, 2, address(mint), abi.encodeCall(mint.pay, (PLAYER, 500 ether)));
    }
}

/// Attesters change as they are meant to, and somebody gets a transfer.
contract AttesterRotated is AttestedScene {
    constructor() payable {
        bring(KEY, 1, address(0), abi.encode(Signing.account(KEY), Signing.account(0x63)));
        bring(0x63, 2, address(mint), abi.encodeCall(mint.pay, (address(0xF00D), 5 ether)));
    }
}

/// Carries out messages that belong to a root which was accepted. What belongs to none belongs to
/// zero, and that was accepted, too.
contract Replica {
    mapping(bytes32 => uint256) public acceptedAt;
    mapping(bytes32 => bytes32) public rootOf;

    constructor(bytes32 root) {
        acceptedAt[root] = 1;
    }

    function prove(bytes calldata message, bytes32 root) external {
        require(acceptedAt[root] != 0, "not accepted");
        rootOf[keccak256(message)] = root;
    }

    function process(bytes calldata message) external {
        bytes32 id = keccak256(message);
        require(acceptedAt[rootOf[id]] != 0, "not proven");
        rootOf[id] = bytes32(uint256(1));
        (Coin coin, address to, uint256 amount) = abi.decode(message, (Coin, address, uint256));
        coin.transfer(to, amount);
    }
}

abstract contract ReplicaScene is Scene {
    function set(bytes32 root, address to) internal {
        Coin coin = new Coin("RPL");
        Replica replica = new Replica(root);
        coin.mint(address(replica), 100 ether);
        Script script = new Script();
        bytes memory message = abi.encode(coin, to == address(0) ? address(script) : to, uint256(100 ether));
        if (root != 0) replica.prove(message, root);
        script.then(address(replica), abi.encodeCall(replica.process, (message)));
        actor = address(script);
    }
}

contract NeverProven is ReplicaScene {
    constructor() payable {
        set(0, address(0));
    }
}

contract ProvenForOther is ReplicaScene {
    constructor() payable {
        set("root", address(0xF00D));
    }
}

/// Takes what is to go to the other chain. A resource that it does not know is at the address zero.
contract Depository {
    mapping(bytes32 => address) public tokenOf;
    uint256 public number;

    event Deposit(bytes32 indexed resource, uint256 number, address from, uint256 amount);

    function set(bytes32 resource, address token) external {
        tokenOf[resource] = token;
    }

    function deposit(bytes32 resource, uint256 amount) external {
        (bool done, bytes memory answer) =
            tokenOf[resource].call(abi.encodeCall(Coin.transferFrom, (msg.sender, address(this), amount)));
        require(done && (answer.length == 0 || abi.decode(answer, (bool))), "not paid");
        emit Deposit(resource, ++number, msg.sender, amount);
    }
}

contract DepositOfNothing is Scene {
    constructor() payable {
        Depository depository = new Depository();
        Script script = new Script();
        script.then(address(depository), abi.encodeCall(depository.deposit, ("coins", 77_000 ether)));
        actor = address(script);
    }
}

contract DepositOfTokens is Scene {
    constructor() payable {
        Coin coin = new Coin("DEP");
        Depository depository = new Depository();
        depository.set("dep", address(coin));
        Script script = new Script();
        coin.mint(address(script), 5 ether);
        script.then(address(coin), abi.encodeCall(coin.approve, (address(depository), 5 ether)));
        script.then(address(depository), abi.encodeCall(depository.deposit, ("dep", 5 ether)));
        actor = address(script);
    }
}
