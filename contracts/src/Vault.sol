// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

interface IERC20 {
    function transfer(address to, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// Holds ether and tokens for people. Fails in all three ways: custom error, string, panic.
contract Vault {
    address public immutable owner;
    bool public paused;
    uint256 public totalDeposits;
    uint256 public beats;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public tokenBalanceOf;

    event Deposit(address indexed from, uint256 amount);
    event Withdraw(address indexed to, uint256 amount);
    event TokenDeposit(address indexed token, address indexed from, uint256 amount);
    event TokenWithdraw(address indexed token, address indexed to, uint256 amount);
    event Heartbeat(uint256 indexed sequence);
    event Paused(address account);
    event Unpaused(address account);

    error InsufficientBalance(address account, uint256 balance, uint256 needed);

    constructor() {
        owner = msg.sender;
    }

    function deposit() external payable {
        balanceOf[msg.sender] += msg.value;
        totalDeposits += msg.value;
        emit Deposit(msg.sender, msg.value);
    }

    function withdraw(uint256 amount) external {
        withdrawTo(msg.sender, amount);
    }

    function withdrawTo(address to, uint256 amount) public {
        require(!paused, "vault is paused");
        uint256 balance = balanceOf[msg.sender];
        if (balance < amount) revert InsufficientBalance(msg.sender, balance, amount);
        balanceOf[msg.sender] = balance - amount;
        totalDeposits -= amount;
        emit Withdraw(to, amount);
        (bool sent,) = to.call{value: amount}("");
        require(sent, "ether refused");
    }

    function depositToken(address token, uint256 amount) external {
        tokenBalanceOf[token][msg.sender] += amount;
        require(IERC20(token).transferFrom(msg.sender, address(this), amount), "token refused");
        emit TokenDeposit(token, msg.sender, amount);
    }

    function withdrawToken(address token, uint256 amount) external {
        require(!paused, "vault is paused");
        // Checked arithmetic: too much panics with 0x11.
        tokenBalanceOf[token][msg.sender] -= amount;
        require(IERC20(token).transfer(msg.sender, amount), "token refused");
        emit TokenWithdraw(token, msg.sender, amount);
    }

    function heartbeat() external {
        beats += 1;
        emit Heartbeat(beats);
    }

    function setPaused(bool paused_) external {
        require(msg.sender == owner, "not the owner");
        paused = paused_;
        if (paused_) emit Paused(msg.sender);
        else emit Unpaused(msg.sender);
    }
}
