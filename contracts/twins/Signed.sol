// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import "./Parts.sol";

/// Pays out vouchers that its signer has signed. It does not remember which.
contract VoucherDesk {
    Coin public immutable coin;
    address public immutable signer;

    constructor(Coin coin_, address signer_) {
        (coin, signer) = (coin_, signer_);
    }

    function voucher(address to, uint256 amount, uint256 number) public pure returns (bytes32) {
        return keccak256(abi.encode(to, amount, number));
    }

    function redeem(uint256 amount, uint256 number, uint8 v, bytes32 r, bytes32 s) external {
        bytes32 digest = voucher(msg.sender, amount, number);
        seen(digest, v, r, s);
        require(ecrecover(digest, v, r, s) == signer, "not signed");
        coin.transfer(msg.sender, amount);
    }

    function seen(bytes32, uint8, bytes32, bytes32) internal virtual {}
}

/// Remembers the signature, which has a twin that is as good.
contract SignatureDesk is VoucherDesk {
    mapping(bytes32 => bool) public used;

    constructor(Coin coin_, address signer_) VoucherDesk(coin_, signer_) {}

    function seen(bytes32, uint8 v, bytes32 r, bytes32 s) internal override {
        bytes32 id = keccak256(abi.encode(v, r, s));
        require(!used[id], "used");
        used[id] = true;
    }
}

/// Remembers what was signed.
contract CarefulDesk is VoucherDesk {
    mapping(bytes32 => bool) public used;

    constructor(Coin coin_, address signer_) VoucherDesk(coin_, signer_) {}

    function seen(bytes32 digest, uint8, bytes32, bytes32) internal override {
        require(!used[digest], "used");
        used[digest] = true;
    }
}

abstract contract DeskScene is Scene {
    uint256 constant KEY = 0x51;
    Coin coin = new Coin("VCH");
    Script script = new Script();

    function open(VoucherDesk desk) internal {
        coin.mint(address(desk), 100 ether);
        actor = address(script);
    }

    function bring(VoucherDesk desk, uint256 amount, uint256 number) internal {
        (uint8 v, bytes32 r, bytes32 s) = Signing.sign(KEY, desk.voucher(address(script), amount, number));
        script.then(address(desk), abi.encodeCall(desk.redeem, (amount, number, v, r, s)));
    }
}

contract VoucherAgain is DeskScene {
    constructor() payable {
        VoucherDesk desk = new VoucherDesk(coin, Signing.account(KEY));
        open(desk);
        for (uint256 i = 0; i < 5; i++) bring(desk, 10 ether, 1);
        script.then(address(coin), abi.encodeCall(coin.transfer, (PLAYER, 50 ether)));
    }
}

contract SignatureMirrored is DeskScene {
    constructor() payable {
        SignatureDesk desk = new SignatureDesk(coin, Signing.account(KEY));
        open(desk);
        bring(desk, 10 ether, 1);
        (uint8 v, bytes32 r, bytes32 s) = Signing.sign(KEY, desk.voucher(address(script), 10 ether, 1));
        s = bytes32(Signing.ORDER - uint256(s));
        script.then(address(desk), abi.encodeCall(desk.redeem, (10 ether, 1, 55 - v, r, s)));
        script.then(address(coin), abi.encodeCall(coin.transfer, (PLAYER, 20 ether)));
    }
}

/// Nobody has told the desk whose signature counts.
contract SignedByNobody is DeskScene {
    constructor() payable {
        VoucherDesk desk = new VoucherDesk(coin, address(0));
        open(desk);
        script.then(address(desk), abi.encodeCall(desk.redeem, (100 ether, 1, 27, bytes32("r"), bytes32("s"))));
        script.then(address(coin), abi.encodeCall(coin.transfer, (PLAYER, 100 ether)));
    }
}

/// Several vouchers at once, each of them once.
contract VouchersCashed is DeskScene {
    constructor() payable {
        CarefulDesk desk = new CarefulDesk(coin, Signing.account(KEY));
        open(desk);
        for (uint256 i = 0; i < 5; i++) bring(desk, 10 ether, i);
    }
}

/// Moves coins for those who have signed that it shall, for a fee. A number that should count such
/// orders is asked for, and never counted up.
contract CarriedCoin is Coin {
    mapping(address => uint256) public nonces;

    constructor() Coin("CRY") {}

    function order(address from, address to, uint256 value, uint256 fee) public view returns (bytes32) {
        return keccak256(abi.encode(from, to, value, fee, nonces[from]));
    }

    function transferProxy(address from, address to, uint256 value, uint256 fee, uint8 v, bytes32 r, bytes32 s)
        external
    {
        require(ecrecover(order(from, to, value, fee), v, r, s) == from, "not signed");
        count(from);
        _move(from, to, value);
        _move(from, msg.sender, fee);
    }

    function count(address) internal virtual {}
}

contract CountedCoin is CarriedCoin {
    function count(address from) internal override {
        nonces[from]++;
    }
}

abstract contract CarrierScene is Scene {
    uint256 constant KEY = 0x52;
    Script script = new Script();

    function carry(CarriedCoin coin, uint256 times) internal {
        address from = Signing.account(KEY);
        coin.mint(from, 100 ether);
        (uint8 v, bytes32 r, bytes32 s) = Signing.sign(KEY, coin.order(from, address(0xF00D), 9 ether, 1 ether));
        bytes memory data =
            abi.encodeCall(coin.transferProxy, (from, address(0xF00D), 9 ether, 1 ether, v, r, s));
        for (uint256 i = 0; i < times; i++) script.then(address(coin), data);
        actor = address(script);
    }
}

contract OrderCarriedAgain is CarrierScene {
    constructor() payable {
        carry(new CarriedCoin(), 10);
    }
}

contract OrderCarriedOnce is CarrierScene {
    constructor() payable {
        carry(new CountedCoin(), 1);
    }
}

/// Gives each account its share once. Whom the signature is for it does not say.
contract SignedShare {
    Coin public immutable coin;
    address public immutable signer;
    mapping(address => bool) public served;

    constructor(Coin coin_, address signer_) {
        (coin, signer) = (coin_, signer_);
    }

    function claim(uint256 amount, uint8 v, bytes32 r, bytes32 s) external {
        require(!served[msg.sender], "served");
        require(ecrecover(keccak256(abi.encode(address(this), amount)), v, r, s) == signer, "not signed");
        served[msg.sender] = true;
        coin.transfer(msg.sender, amount);
    }
}

/// One of many accounts of the same person.
contract Alias {
    function take(SignedShare shares, uint256 amount, uint8 v, bytes32 r, bytes32 s) external {
        shares.claim(amount, v, r, s);
        shares.coin().transfer(msg.sender, amount);
    }
}

contract Crowd {
    SignedShare immutable shares;
    uint8 immutable v;
    bytes32 immutable r;
    bytes32 immutable s;

    constructor(SignedShare shares_, uint8 v_, bytes32 r_, bytes32 s_) {
        (shares, v, r, s) = (shares_, v_, r_, s_);
    }

    function run() external payable {
        for (uint256 i = 0; i < 3; i++) new Alias().take(shares, 20 ether, v, r, s);
        Coin coin = shares.coin();
        coin.transfer(tx.origin, coin.balanceOf(address(this)));
    }
}

contract SignatureShared is Scene {
    constructor() payable {
        Coin coin = new Coin("AIR");
        SignedShare shares = new SignedShare(coin, Signing.account(0x53));
        coin.mint(address(shares), 100 ether);
        (uint8 v, bytes32 r, bytes32 s) =
            Signing.sign(0x53, keccak256(abi.encode(address(shares), uint256(20 ether))));
        actor = address(new Crowd(shares, v, r, s));
    }
}

/// Wrapped ether, which answers whatever it does not know by a deposit of nothing.
contract AnswersAll is Coin {
    constructor() Coin("WRP") {}

    receive() external payable {
        _add(msg.sender, msg.value);
    }

    fallback() external payable {
        _add(msg.sender, msg.value);
    }
}

/// A coin with approvals by signature.
contract PermitCoin is Coin {
    mapping(address => uint256) public nonces;

    constructor() Coin("PRM") {}

    function order(address owner, address spender, uint256 value, uint256 deadline) public view returns (bytes32) {
        return keccak256(abi.encode(address(this), owner, spender, value, nonces[owner], deadline));
    }

    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        require(ecrecover(order(owner, spender, value, deadline), v, r, s) == owner, "not signed");
        nonces[owner]++;
        allowance[owner][spender] = value;
        emit Approval(owner, spender, value);
    }
}

/// Takes coins by permit, for whoever is to have them on the other side.
contract PermitRouter {
    mapping(address => mapping(Coin => uint256)) public owed;

    function swapOutWithPermit(
        address from,
        Coin coin,
        address to,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        PermitCoin(address(coin)).permit(from, address(this), amount, deadline, v, r, s);
        coin.transferFrom(from, address(this), amount);
        owed[to][coin] += amount;
    }

    function withdraw(Coin coin) external {
        uint256 amount = owed[msg.sender][coin];
        owed[msg.sender][coin] = 0;
        coin.transfer(msg.sender, amount);
    }
}

/// Somebody who trusts the router, and takes no part.
contract Trusting {
    constructor(Coin coin, address spender) {
        coin.approve(spender, type(uint256).max);
    }
}

contract PermitNotLookedAt is Scene {
    constructor() payable {
        AnswersAll coin = new AnswersAll();
        PermitRouter router = new PermitRouter();
        address victim = address(new Trusting(coin, address(router)));
        coin.mint(victim, 50 ether);
        Script script = new Script();
        script.then(
            address(router),
            abi.encodeCall(
                router.swapOutWithPermit,
                (victim, coin, address(script), 50 ether, type(uint256).max, 0, bytes32(0), bytes32(0))
            )
        );
        script.then(address(router), abi.encodeCall(router.withdraw, (coin)));
        script.then(address(coin), abi.encodeCall(coin.transfer, (PLAYER, 50 ether)));
        actor = address(script);
    }
}

/// Brings a saver's permit to the router, and the coins stay the saver's.
contract PermitBrought is Scene {
    constructor() payable {
        PermitCoin coin = new PermitCoin();
        PermitRouter router = new PermitRouter();
        address saver = Signing.account(0x54);
        coin.mint(saver, 50 ether);
        (uint8 v, bytes32 r, bytes32 s) =
            Signing.sign(0x54, coin.order(saver, address(router), 50 ether, type(uint256).max));
        Script script = new Script();
        script.then(
            address(router),
            abi.encodeCall(
                router.swapOutWithPermit, (saver, coin, saver, 50 ether, type(uint256).max, v, r, s)
            )
        );
        actor = address(script);
    }
}

/// Fills a signed offer in parts, as long as there is something left of it.
contract PartOffers {
    mapping(bytes32 => uint256) public filled;

    function offer(Coin give, Coin get, uint256 most) public view returns (bytes32) {
        return keccak256(abi.encode(address(this), give, get, most));
    }

    function fill(Coin give, Coin get, address maker, uint256 most, uint256 amount, uint8 v, bytes32 r, bytes32 s)
        external
    {
        bytes32 digest = offer(give, get, most);
        require(ecrecover(digest, v, r, s) == maker, "not signed");
        filled[digest] += amount;
        require(filled[digest] <= most, "too much");
        get.transferFrom(msg.sender, maker, amount);
        give.transferFrom(maker, msg.sender, amount);
    }
}

/// A coin that its maker can approve for others, so that a key alone can be an account.
contract SetupCoin is Coin {
    constructor(string memory symbol_) Coin(symbol_) {}

    function allow(address owner, address spender) external {
        require(msg.sender == minter, "not the minter");
        allowance[owner][spender] = type(uint256).max;
    }
}

contract OfferInParts is Scene {
    constructor() payable {
        SetupCoin give = new SetupCoin("GIV");
        Coin get = new Coin("GET");
        PartOffers offers = new PartOffers();
        address maker = Signing.account(0x55);
        give.mint(maker, 10 ether);
        give.allow(maker, address(offers));
        (uint8 v, bytes32 r, bytes32 s) = Signing.sign(0x55, offers.offer(give, get, 10 ether));
        Script script = new Script();
        get.mint(address(script), 10 ether);
        script.then(address(get), abi.encodeCall(get.approve, (address(offers), 10 ether)));
        bytes memory part = abi.encodeCall(offers.fill, (give, get, maker, 10 ether, 5 ether, v, r, s));
        script.then(address(offers), part).then(address(offers), part);
        actor = address(script);
    }
}
