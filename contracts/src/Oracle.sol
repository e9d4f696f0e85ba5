// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

/// A price feed with the reading side of a Chainlink aggregator.
contract Oracle {
    uint8 public constant decimals = 8;
    string public description;
    address public immutable owner;
    int256 public latestAnswer;
    uint256 public latestRound;
    uint256 public latestTimestamp;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    constructor(string memory description_, int256 price) {
        owner = msg.sender;
        description = description_;
        latestAnswer = price;
    }

    /// `updatedAt` is handed in, so that the same calls give the same chain at any time.
    function setPrice(int256 price, uint256 updatedAt) external {
        require(msg.sender == owner, "not the owner");
        latestRound += 1;
        latestAnswer = price;
        latestTimestamp = updatedAt;
        emit AnswerUpdated(price, latestRound, updatedAt);
    }

    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredIn)
    {
        uint80 round = uint80(latestRound);
        return (round, latestAnswer, latestTimestamp, latestTimestamp, round);
    }
}
