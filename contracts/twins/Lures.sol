// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Signed.sol";

/// Somebody has signed an approval on a page that was not what it seemed to be.
contract PermitPhished is Scene {
    constructor() payable {
        PermitCoin coin = new PermitCoin();
        Script script = new Script();
        address victim = Signing.account(0x81);
        coin.mint(victim, 100 ether);
        (uint8 v, bytes32 r, bytes32 s) =
            Signing.sign(0x81, coin.order(victim, address(script), 100 ether, type(uint256).max));
        script.then(
            address(coin),
            abi.encodeCall(coin.permit, (victim, address(script), 100 ether, type(uint256).max, v, r, s))
        );
        script.then(address(coin), abi.encodeCall(coin.transferFrom, (victim, PLAYER, 80 ether)));
        script.then(address(coin), abi.encodeCall(coin.transferFrom, (victim, address(0xAFF), 20 ether)));
        actor = address(script);
    }
}

/// Takes what somebody's approval lets it, and gives shares for it.
contract SharesFor is Coin {
    Coin public immutable coin;

    constructor(Coin coin_) Coin("SHR") {
        coin = coin_;
    }

    function depositFor(address who, uint256 amount) external {
        coin.transferFrom(who, address(this), amount);
        _add(who, amount);
    }
}

/// Pays the gas for somebody's deposit.
contract DepositByPermit is Scene {
    constructor() payable {
        PermitCoin coin = new PermitCoin();
        SharesFor shares = new SharesFor(coin);
        Script script = new Script();
        address saver = Signing.account(0x82);
        coin.mint(saver, 100 ether);
        (uint8 v, bytes32 r, bytes32 s) =
            Signing.sign(0x82, coin.order(saver, address(shares), 100 ether, type(uint256).max));
        script.then(
            address(coin),
            abi.encodeCall(coin.permit, (saver, address(shares), 100 ether, type(uint256).max, v, r, s))
        );
        script.then(address(shares), abi.encodeCall(shares.depositFor, (saver, 100 ether)));
        actor = address(script);
    }
}

/// Puts nothing into people's histories, from them to accounts that look like ones they know.
contract HistoryPoisoned is Scene {
    constructor() payable {
        Coin coin = new Coin("USD");
        Script script = new Script();
        for (uint160 i = 1; i <= 5; i++) {
            address victim = address(0x10000000 + i);
            coin.mint(victim, 1_000 ether);
            script.then(
                address(coin), abi.encodeCall(coin.transferFrom, (victim, address(0x20000000 + i), 0))
            );
        }
        actor = address(script);
    }
}

/// Pays what each has earned, which this time is nothing for most.
contract EmptyPayments is Scene {
    constructor() payable {
        Coin coin = new Coin("USD");
        Script script = new Script();
        coin.mint(address(script), 1 ether);
        for (uint160 i = 1; i <= 5; i++) {
            script.then(
                address(coin), abi.encodeCall(coin.transfer, (address(0x10000000 + i), i == 3 ? 1 ether : 0))
            );
        }
        actor = address(script);
    }
}

/// Promises a gift, and gives none. What it is called is all that it has.
contract Promise {
    function claim() external payable {
        keep();
    }

    function securityUpdate() external payable {
        keep();
    }

    function keep() private {
        (bool sent,) = address(0xBAD).call{value: msg.value}("");
        require(sent, "not sent");
    }
}

contract GiftPromised is Scene {
    constructor() payable {
        actor = address(new Promise());
    }
}

contract UpdatePromised is Scene {
    constructor() payable {
        actor = address(new Promise());
    }
}

/// Asks for a fee, and gives what it promises.
contract PaidClaim {
    Coin immutable coin;

    constructor(Coin coin_) {
        coin = coin_;
    }

    function claim() external payable {
        coin.transfer(msg.sender, 25 ether);
    }
}

contract GiftKept is Scene {
    constructor() payable {
        Coin coin = new Coin("AIR");
        PaidClaim gift = new PaidClaim(coin);
        coin.mint(address(gift), 100 ether);
        actor = address(gift);
    }
}

/// Has the approvals that people gave to a page which said that it was an exchange.
contract ApprovalsPhished is Scene {
    constructor() payable {
        SetupCoin coin = new SetupCoin("USD");
        Script script = new Script();
        for (uint160 i = 1; i <= 3; i++) {
            address victim = address(0x10000000 + i);
            coin.mint(victim, 1_000 ether);
            coin.allow(victim, address(script));
            script.then(address(coin), abi.encodeCall(coin.transferFrom, (victim, PLAYER, 1_000 ether)));
        }
        actor = address(script);
    }
}

/// Charges people what they have agreed to pay each month, and notes whom.
contract Subscriptions {
    Coin immutable coin;
    address immutable merchant;
    mapping(address => uint256) public paidUntil;

    event Charged(address indexed subscriber, uint256 amount, uint256 until);

    constructor(Coin coin_, address merchant_) {
        (coin, merchant) = (coin_, merchant_);
    }

    function run() external payable {
        for (uint160 i = 1; i <= 3; i++) {
            address subscriber = address(0x10000000 + i);
            paidUntil[subscriber] = block.timestamp + 30 days;
            coin.transferFrom(subscriber, merchant, 9 ether);
            emit Charged(subscriber, 9 ether, paidUntil[subscriber]);
        }
    }
}

contract SubscriptionsCharged is Scene {
    constructor() payable {
        SetupCoin coin = new SetupCoin("USD");
        Subscriptions subscriptions = new Subscriptions(coin, address(0x7EA5));
        for (uint160 i = 1; i <= 3; i++) {
            address subscriber = address(0x10000000 + i);
            coin.mint(subscriber, 1_000 ether);
            coin.allow(subscriber, address(subscriptions));
        }
        actor = address(subscriptions);
    }
}
