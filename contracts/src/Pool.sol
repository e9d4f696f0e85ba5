// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

interface IERC20 {
    function transfer(address to, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// Swaps two tokens at a constant product, 0.3 % fee, with the events of a Uniswap v2 pair.
contract Pool {
    address public immutable token0;
    address public immutable token1;
    uint112 private reserve0;
    uint112 private reserve1;

    event Mint(address indexed sender, uint256 amount0, uint256 amount1);
    event Swap(
        address indexed sender,
        uint256 amount0In,
        uint256 amount1In,
        uint256 amount0Out,
        uint256 amount1Out,
        address indexed to
    );
    event Sync(uint112 reserve0, uint112 reserve1);

    error TooLittleOut(uint256 out, uint256 wanted);

    constructor(address token0_, address token1_) {
        token0 = token0_;
        token1 = token1_;
    }

    function getReserves() external view returns (uint112, uint112) {
        return (reserve0, reserve1);
    }

    function addLiquidity(uint256 amount0, uint256 amount1) external {
        take(token0, amount0);
        take(token1, amount1);
        sync(reserve0 + amount0, reserve1 + amount1);
        emit Mint(msg.sender, amount0, amount1);
    }

    function swap(address tokenIn, uint256 amountIn, uint256 minimumOut) external returns (uint256 out) {
        require(tokenIn == token0 || tokenIn == token1, "unknown token");
        bool forward = tokenIn == token0;
        (uint256 reserveIn, uint256 reserveOut) =
            forward ? (reserve0, reserve1) : (reserve1, reserve0);
        uint256 kept = amountIn * 997;
        out = (kept * reserveOut) / (reserveIn * 1000 + kept);
        if (out < minimumOut) revert TooLittleOut(out, minimumOut);
        take(tokenIn, amountIn);
        require(IERC20(forward ? token1 : token0).transfer(msg.sender, out), "token refused");
        if (forward) {
            sync(reserveIn + amountIn, reserveOut - out);
            emit Swap(msg.sender, amountIn, 0, 0, out, msg.sender);
        } else {
            sync(reserveOut - out, reserveIn + amountIn);
            emit Swap(msg.sender, 0, amountIn, out, 0, msg.sender);
        }
    }

    function take(address token, uint256 amount) private {
        require(IERC20(token).transferFrom(msg.sender, address(this), amount), "token refused");
    }

    function sync(uint256 newReserve0, uint256 newReserve1) private {
        require(newReserve0 <= type(uint112).max && newReserve1 <= type(uint112).max, "overflow");
        reserve0 = uint112(newReserve0);
        reserve1 = uint112(newReserve1);
        emit Sync(reserve0, reserve1);
    }
}
