// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

/// A scene is set up by its constructor. Then the actor, which may be honest or not, runs in a
/// transaction of its own.
abstract contract Scene {
    address public actor;
}

// Who plays the scenes: the second account of the chain that they are played on.
address constant PLAYER = 0x70997970C51812dc3A010C7d01b50e0d17dc79C8;

/// An actor that does one thing after another, as its scene has told it.
contract Script {
    struct Step {
        address target;
        bytes data;
    }

    Step[] steps;

    function then(address target, bytes memory data) public returns (Script) {
        steps.push(Step(target, data));
        return this;
    }

    function run() external payable {
        for (uint256 i = 0; i < steps.length; i++) {
            (bool done, bytes memory answer) = steps[i].target.call(steps[i].data);
            if (!done) {
                assembly {
                    revert(add(answer, 32), mload(answer))
                }
            }
        }
    }
}

/// Signs on the chain itself, with keys that nobody has to keep secret.
library Signing {
    uint256 constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    /// The curve's base point: what comes of the number that is used once, when that is one.
    uint256 constant BASE = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;

    function sign(uint256 key, bytes32 digest) internal pure returns (uint8 v, bytes32 r, bytes32 s) {
        uint256 proof = addmod(uint256(digest), mulmod(BASE, key, ORDER), ORDER);
        bool low = proof <= ORDER / 2;
        return (low ? 27 : 28, bytes32(BASE), bytes32(low ? proof : ORDER - proof));
    }

    /// Whose key it is.
    function account(uint256 key) internal pure returns (address) {
        (uint8 v, bytes32 r, bytes32 s) = sign(key, 0);
        return ecrecover(0, v, r, s);
    }
}

/// A plain ERC-20 whose maker mints.
contract Coin {
    string public symbol;
    uint8 public constant decimals = 18;
    uint256 public totalSupply;
    address public minter;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    constructor(string memory symbol_) {
        symbol = symbol_;
        minter = msg.sender;
    }

    function mint(address to, uint256 value) public virtual {
        require(msg.sender == minter, "not the minter");
        _add(to, value);
    }

    function _add(address to, uint256 value) internal {
        totalSupply += value;
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function _take(address from, uint256 value) internal {
        totalSupply -= value;
        balanceOf[from] -= value;
        emit Transfer(from, address(0), value);
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        _move(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        if (allowance[from][msg.sender] != type(uint256).max) allowance[from][msg.sender] -= value;
        _move(from, to, value);
        return true;
    }

    function _move(address from, address to, uint256 value) internal virtual {
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

/// A constant-product pool with the interface that everybody knows, and a fee of 0.3 %.
contract Pair {
    Coin public immutable token0;
    Coin public immutable token1;
    uint112 private reserve0;
    uint112 private reserve1;

    event Swap(
        address indexed sender,
        uint256 amount0In,
        uint256 amount1In,
        uint256 amount0Out,
        uint256 amount1Out,
        address indexed to
    );
    event Sync(uint112 reserve0, uint112 reserve1);

    constructor(Coin a, Coin b) {
        (token0, token1) = (a, b);
    }

    function getReserves() public view returns (uint112, uint112, uint32) {
        return (reserve0, reserve1, 0);
    }

    function sync() public {
        reserve0 = uint112(token0.balanceOf(address(this)));
        reserve1 = uint112(token1.balanceOf(address(this)));
        emit Sync(reserve0, reserve1);
    }

    function skim(address to) external {
        token0.transfer(to, token0.balanceOf(address(this)) - reserve0);
        token1.transfer(to, token1.balanceOf(address(this)) - reserve1);
    }

    function swap(uint256 out0, uint256 out1, address to, bytes calldata) external {
        if (out0 > 0) token0.transfer(to, out0);
        if (out1 > 0) token1.transfer(to, out1);
        uint256 has0 = token0.balanceOf(address(this));
        uint256 has1 = token1.balanceOf(address(this));
        uint256 in0 = has0 > reserve0 - out0 ? has0 - (reserve0 - out0) : 0;
        uint256 in1 = has1 > reserve1 - out1 ? has1 - (reserve1 - out1) : 0;
        uint256 k = (has0 * 1000 - in0 * 3) * (has1 * 1000 - in1 * 3);
        require(k >= uint256(reserve0) * reserve1 * 1000 ** 2, "K");
        sync();
        emit Swap(msg.sender, in0, in1, out0, out1, to);
    }
}

/// Trades at pairs, for whoever is a contract of its own.
abstract contract Trader {
    /// Sells all of `amount` of `token`, and gives what came out.
    function sell(Pair pair, Coin token, uint256 amount) internal returns (uint256 out) {
        (uint112 r0, uint112 r1,) = pair.getReserves();
        bool first = address(token) == address(pair.token0());
        (uint256 rin, uint256 rout) = first ? (uint256(r0), uint256(r1)) : (uint256(r1), uint256(r0));
        uint256 fed = amount * 997;
        out = fed * rout / (rin * 1000 + fed);
        token.transfer(address(pair), amount);
        pair.swap(first ? 0 : out, first ? out : 0, address(this), "");
    }
}

interface Borrower {
    function onFlashLoan(address initiator, address token, uint256 amount, uint256 fee, bytes calldata data)
        external
        returns (bytes32);
}

/// Lends for one transaction, without a fee.
contract Lender {
    function flashLoan(Borrower receiver, Coin token, uint256 amount, bytes calldata data)
        external
        returns (bool)
    {
        token.transfer(address(receiver), amount);
        receiver.onFlashLoan(msg.sender, address(token), amount, 0, data);
        require(token.transferFrom(address(receiver), address(this), amount), "not repaid");
        return true;
    }
}

/// A lender's callback for those who borrow.
abstract contract Flash is Borrower {
    function onFlashLoan(address, address token, uint256 amount, uint256, bytes calldata)
        external
        returns (bytes32)
    {
        borrowed(amount);
        Coin(token).approve(msg.sender, amount);
        return keccak256("ERC3156FlashBorrower.onFlashLoan");
    }

    function borrowed(uint256 amount) internal virtual;
}

/// Lends `cash` on `collateral`, at the price that a pair shows at the moment: token0 per token1.
contract Market {
    Coin public immutable cash;
    Coin public immutable collateral;
    Pair public immutable oracle;
    mapping(address => uint256) public deposits;
    mapping(address => uint256) public debts;

    event Borrow(address indexed account, uint256 amount);

    constructor(Pair pair) {
        oracle = pair;
        (cash, collateral) = (pair.token0(), pair.token1());
    }

    function price() public view returns (uint256) {
        (uint112 r0, uint112 r1,) = oracle.getReserves();
        return uint256(r0) * 1e18 / r1;
    }

    function deposit(uint256 amount) external {
        collateral.transferFrom(msg.sender, address(this), amount);
        deposits[msg.sender] += amount;
    }

    function borrow(uint256 amount) external {
        debts[msg.sender] += amount;
        require(debts[msg.sender] <= deposits[msg.sender] * price() / 1e18 * 75 / 100, "too much");
        cash.transfer(msg.sender, amount);
        emit Borrow(msg.sender, amount);
    }

    /// Pays a part of a debt that is not covered any more, for collateral worth 8 % more.
    function liquidationCall(address, address, address user, uint256 debt, bool) external {
        require(debts[user] > deposits[user] * price() / 1e18 * 80 / 100, "covered");
        cash.transferFrom(msg.sender, address(this), debt);
        debts[user] -= debt;
        uint256 seized = debt * 1e18 / price() * 108 / 100;
        deposits[user] -= seized;
        collateral.transfer(msg.sender, seized);
    }
}
