// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

/// What the proxy runs after the upgrade: one more function, one more event.
contract CounterV2 {
    uint256 public count;

    event Counted(address indexed by, uint256 count);
    event Reset(address indexed by, uint256 from);

    error TooFast(uint256 step);

    function increment() external {
        count += 1;
        emit Counted(msg.sender, count);
    }

    function incrementBy(uint256 step) external {
        if (step > 100) revert TooFast(step);
        count += step;
        emit Counted(msg.sender, count);
    }

    function reset() external {
        emit Reset(msg.sender, count);
        count = 0;
    }

    function version() external pure returns (uint256) {
        return 2;
    }
}
