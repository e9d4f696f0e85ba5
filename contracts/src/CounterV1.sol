// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

/// What the proxy runs at first.
contract CounterV1 {
    uint256 public count;

    event Counted(address indexed by, uint256 count);

    function increment() external {
        count += 1;
        emit Counted(msg.sender, count);
    }

    function version() external pure returns (uint256) {
        return 1;
    }
}
