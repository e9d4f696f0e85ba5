// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Runs other code as its own. Its admin can exchange it.
contract Front {
    /// Where proxies keep their code and admin, so that it is in nobody's way.
    bytes32 constant CODE = bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);
    bytes32 constant ADMIN = bytes32(uint256(keccak256("eip1967.proxy.admin")) - 1);

    event Upgraded(address indexed implementation);

    constructor(address code, address admin) payable {
        write(CODE, code);
        write(ADMIN, admin);
    }

    function upgradeTo(address code) external {
        exchange(code);
    }

    function upgradeToAndCall(address code, bytes calldata data) external {
        exchange(code);
        (bool done,) = code.delegatecall(data);
        require(done, "failed");
    }

    function exchange(address code) private {
        require(msg.sender == read(ADMIN), "not the admin");
        write(CODE, code);
        emit Upgraded(code);
    }

    function write(bytes32 slot, address value) private {
        assembly {
            sstore(slot, value)
        }
    }

    function read(bytes32 slot) private view returns (address value) {
        assembly {
            value := sload(slot)
        }
    }

    receive() external payable {}

    fallback() external payable {
        address code = read(CODE);
        assembly {
            calldatacopy(0, 0, calldatasize())
            let done := delegatecall(gas(), code, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if iszero(done) { revert(0, returndatasize()) }
            return(0, returndatasize())
        }
    }
}

/// Pays whom its owner names.
contract SafeCode {
    address public owner;
    uint256 public version;

    function initialize(address owner_) external {
        require(owner == address(0), "initialised");
        owner = owner_;
    }

    function migrate() external {
        version++;
    }

    function pay(Coin coin, address to, uint256 amount) external {
        require(msg.sender == owner, "not the owner");
        coin.transfer(to, amount);
    }
}

/// Pays everything to whoever asks.
contract ThiefCode {
    function take(Coin coin) external {
        coin.transfer(tx.origin, coin.balanceOf(address(this)));
    }
}

abstract contract FrontScene is Scene {
    Coin coin = new Coin("PRX");
    SafeCode code = new SafeCode();
    Script script = new Script();

    function front(address admin) internal returns (Front made) {
        made = new Front(address(code), admin);
        coin.mint(address(made), 100 ether);
    }
}

/// Has the admin's key, and brings code of its own.
contract KeyHolder {
    Front public front;
    Coin immutable coin;
    bool immutable atOnce;

    constructor(Coin coin_, bool atOnce_) {
        (coin, atOnce) = (coin_, atOnce_);
    }

    function set(Front front_) external {
        front = front_;
    }

    function run() external payable {
        address code = address(new ThiefCode());
        bytes memory take = abi.encodeCall(ThiefCode.take, (coin));
        if (atOnce) {
            front.upgradeToAndCall(code, take);
        } else {
            front.upgradeTo(code);
            ThiefCode(address(front)).take(coin);
        }
    }
}

abstract contract KeyScene is FrontScene {
    function set(bool atOnce) internal {
        KeyHolder holder = new KeyHolder(coin, atOnce);
        holder.set(front(address(holder)));
        actor = address(holder);
    }
}

contract UpgradedAndTaken is KeyScene {
    constructor() payable {
        set(false);
    }
}

contract TakenByUpgrade is KeyScene {
    constructor() payable {
        set(true);
    }
}

/// Upgrades proxies for its owner. Who that is was never said, and anyone may say it.
contract OpenAdmin {
    address public owner;

    function initialize(address owner_) external {
        require(owner == address(0), "initialised");
        owner = owner_;
    }

    function upgradeAndCall(Front front, address code, bytes calldata data) external {
        require(msg.sender == owner, "not the owner");
        front.upgradeToAndCall(code, data);
    }
}

contract AdminOfNobody is FrontScene {
    constructor() payable {
        OpenAdmin admin = new OpenAdmin();
        Front made = front(address(admin));
        bytes memory take = abi.encodeCall(ThiefCode.take, (coin));
        script.then(address(admin), abi.encodeCall(admin.initialize, (address(script))));
        script.then(
            address(admin), abi.encodeCall(admin.upgradeAndCall, (made, address(new ThiefCode()), take))
        );
        actor = address(script);
    }
}

/// Says which code many proxies run.
contract Beacon {
    address public implementation;
    address immutable owner;

    constructor(address code, address owner_) {
        (implementation, owner) = (code, owner_);
    }

    function setImplementation(address code) external {
        require(msg.sender == owner, "not the owner");
        implementation = code;
    }
}

contract BeaconFront {
    Beacon immutable beacon;

    constructor(Beacon beacon_) {
        beacon = beacon_;
    }

    fallback() external {
        (bool done,) = beacon.implementation().delegatecall(msg.data);
        require(done, "failed");
    }
}

contract BeaconHolder {
    Coin immutable coin;
    Beacon beacon;
    address[] fronts;

    constructor(Coin coin_) {
        coin = coin_;
    }

    function set(Beacon beacon_, address[] calldata fronts_) external {
        (beacon, fronts) = (beacon_, fronts_);
    }

    function run() external payable {
        beacon.setImplementation(address(new ThiefCode()));
        for (uint256 i = 0; i < fronts.length; i++) ThiefCode(fronts[i]).take(coin);
    }
}

contract BeaconTurned is FrontScene {
    constructor() payable {
        BeaconHolder holder = new BeaconHolder(coin);
        Beacon beacon = new Beacon(address(code), address(holder));
        address[] memory fronts = new address[](3);
        for (uint256 i = 0; i < 3; i++) {
            fronts[i] = address(new BeaconFront(beacon));
            coin.mint(fronts[i], 10 ether);
        }
        holder.set(beacon, fronts);
        actor = address(holder);
    }
}

/// Does what was decided, when the time has come.
contract Clock {
    function executeTransaction(address target, uint256 value, string calldata, bytes calldata data, uint256 due)
        external
    {
        require(block.timestamp >= due, "too early");
        (bool done,) = target.call{value: value}(data);
        require(done, "failed");
    }
}

contract UpgradedInTime is FrontScene {
    constructor() payable {
        Clock clock = new Clock();
        Front made = front(address(clock));
        bytes memory upgrade = abi.encodeCall(made.upgradeTo, (address(new SafeCode())));
        script.then(
            address(clock),
            abi.encodeCall(clock.executeTransaction, (address(made), 0, "", upgrade, block.timestamp))
        );
        actor = address(script);
    }
}

contract UpgradedWithMigration is FrontScene {
    constructor() payable {
        Front made = front(address(script));
        bytes memory migrate = abi.encodeCall(SafeCode.migrate, ());
        script.then(
            address(made), abi.encodeCall(made.upgradeToAndCall, (address(new SafeCode()), migrate))
        );
        actor = address(script);
    }
}

/// Makes a proxy, and gives it its code and its owner.
contract Launcher {
    address immutable code;

    constructor(address code_) {
        code = code_;
    }

    function run() external payable {
        Front front = new Front(code, address(this));
        SafeCode better = new SafeCode();
        front.upgradeToAndCall(address(better), abi.encodeCall(better.initialize, (msg.sender)));
    }
}

contract ProxyLaunched is FrontScene {
    constructor() payable {
        actor = address(new Launcher(address(code)));
    }
}

contract PaidThroughProxy is FrontScene {
    constructor() payable {
        Front made = front(address(this));
        SafeCode(address(made)).initialize(address(script));
        script.then(address(made), abi.encodeCall(SafeCode.pay, (coin, address(0xF00D), 5 ether)));
        actor = address(script);
    }
}
