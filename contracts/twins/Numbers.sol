// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Multiplies without looking, as coins once did.
contract WrapCoin is Coin {
    constructor() Coin("WRAP") {}

    function batchTransfer(address[] calldata to, uint256 value) external {
        uint256 all;
        unchecked {
            all = to.length * value;
        }
        require(balanceOf[msg.sender] >= all, "not enough");
        unchecked {
            balanceOf[msg.sender] -= all;
            for (uint256 i = 0; i < to.length; i++) {
                balanceOf[to[i]] += value;
                emit Transfer(msg.sender, to[i], value);
            }
        }
    }
}

contract Sender {
    WrapCoin immutable coin;
    uint256 immutable value;

    constructor(WrapCoin coin_, uint256 value_) {
        (coin, value) = (coin_, value_);
    }

    function run() external payable {
        address[] memory to = new address[](2);
        (to[0], to[1]) = (address(0xAB), tx.origin);
        coin.batchTransfer(to, value);
    }
}

contract WrappedAround is Scene {
    constructor() payable {
        actor = address(new Sender(new WrapCoin(), 1 << 255));
    }
}

contract PaidToMany is Scene {
    constructor() payable {
        WrapCoin coin = new WrapCoin();
        Sender sender = new Sender(coin, 5 ether);
        coin.mint(address(sender), 10 ether);
        actor = address(sender);
    }
}
