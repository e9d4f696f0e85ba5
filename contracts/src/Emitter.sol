// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

/// Emits what is hard to decode, and a lot of what is easy.
contract Emitter {
    event Whisper(address indexed from, uint256 value) anonymous;
    event Ping(uint256 indexed number, bytes data);
    event Rich(string indexed topic, string text, uint256[] numbers, Point point);

    struct Point {
        int64 x;
        int64 y;
    }

    function whisper(uint256 value) external {
        emit Whisper(msg.sender, value);
    }

    function rich(string calldata text, uint256[] calldata numbers) external {
        emit Rich(text, text, numbers, Point(-1, 1));
    }

    /// A log without any topic.
    function mumble(bytes calldata data) external {
        bytes memory copy = data;
        assembly {
            log0(add(copy, 32), mload(copy))
        }
    }

    function ping(uint256 count) external {
        for (uint256 i = 0; i < count; i++) emit Ping(i, "");
    }

    /// Fails with a panic (0x12, division by zero).
    function divide(uint256 by) external pure returns (uint256) {
        return 1 / by;
    }
}
