-- Heights, times (milliseconds, block times seconds) and counts are integers; hashes and addresses
-- are blobs; names, ids and JSON are text.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Heads of each chain. A block's finality follows from these: it is not stored per block.
CREATE TABLE chains (
    chain            TEXT PRIMARY KEY,
    safe_height      INTEGER,
    safe_hash        BLOB,
    finalized_height INTEGER,
    finalized_hash   BLOB,
    changed_at       INTEGER NOT NULL,
    CHECK ((safe_height IS NULL) = (safe_hash IS NULL)),
    CHECK ((finalized_height IS NULL) = (finalized_hash IS NULL))
) STRICT, WITHOUT ROWID;

-- Recent blocks of the canonical chain; the highest is the cursor.
CREATE TABLE blocks (
    chain        TEXT    NOT NULL REFERENCES chains (chain),
    height       INTEGER NOT NULL CHECK (height >= 0),
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    parent       BLOB    NOT NULL CHECK (length(parent) = 32),
    time         INTEGER NOT NULL,
    transactions INTEGER NOT NULL,
    logs         INTEGER NOT NULL,
    digest       BLOB    NOT NULL CHECK (length(digest) = 32),
    intake       TEXT    NOT NULL CHECK (intake IN ('live', 'backfill', 'refill', 'rescan')),
    seen_at      INTEGER NOT NULL,
    PRIMARY KEY (chain, height)
) STRICT, WITHOUT ROWID;

-- Runs of blocks that were verified alike. Ranges of one chain never overlap, and neighbours differ.
CREATE TABLE coverage (
    chain       TEXT    NOT NULL REFERENCES chains (chain),
    from_height INTEGER NOT NULL CHECK (from_height >= 0),
    to_height   INTEGER NOT NULL CHECK (to_height >= from_height),
    passed      INTEGER NOT NULL,
    shortfall   TEXT    NOT NULL,
    agreed      INTEGER NOT NULL,
    processed   INTEGER NOT NULL CHECK (processed IN (0, 1)),
    rescans     INTEGER NOT NULL,
    PRIMARY KEY (chain, from_height)
) STRICT, WITHOUT ROWID;
CREATE INDEX coverage_holes ON coverage (chain, from_height) WHERE processed = 0;

CREATE TABLE findings (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE CHECK (length(id) = 32),
    status      TEXT    NOT NULL CHECK (status IN ('held', 'active', 'resolved', 'retracted')),
    revision    INTEGER NOT NULL CHECK (revision >= 1),
    severity    INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 3),
    source_kind TEXT    NOT NULL,
    source_name TEXT    NOT NULL,
    class       TEXT    NOT NULL,
    asset       TEXT    NOT NULL,
    deliver     TEXT    NOT NULL CHECK (deliver IN ('seen', 'safe', 'finalized')),
    chain       TEXT,
    -- The block that it stands and falls with; none for conditions, which end in another way.
    height      INTEGER,
    block_hash  BLOB,
    seen_at     INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL,
    body        TEXT    NOT NULL,
    CHECK ((height IS NULL) = (block_hash IS NULL))
) STRICT;
CREATE INDEX findings_of_block ON findings (chain, block_hash) WHERE block_hash IS NOT NULL;
CREATE INDEX findings_held ON findings (chain, height) WHERE status = 'held';
-- The first lists, in the order of rows; the second counts.
CREATE INDEX findings_by_status ON findings (status);
CREATE INDEX findings_by_standing ON findings (status, severity);
CREATE INDEX findings_by_source ON findings (source_name, seq);
CREATE INDEX findings_by_asset ON findings (asset, seq);

-- One row per condition that ever was; `finding` is that of the last occurrence.
CREATE TABLE conditions (
    trouble    TEXT    NOT NULL,
    asset      TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    occurrence INTEGER NOT NULL CHECK (occurrence >= 1),
    finding    TEXT    REFERENCES findings (id) ON DELETE SET NULL,
    open       INTEGER NOT NULL CHECK (open IN (0, 1)),
    raised_at  INTEGER NOT NULL,
    cleared_at INTEGER,
    PRIMARY KEY (trouble, asset, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX conditions_of_finding ON conditions (finding);

CREATE TABLE outbox (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    finding          TEXT    NOT NULL REFERENCES findings (id) ON DELETE CASCADE,
    revision         INTEGER NOT NULL,
    kind             TEXT    NOT NULL CHECK (kind IN ('found', 'retracted', 'resolved')),
    receiver         TEXT    NOT NULL,
    idempotency_key  TEXT    NOT NULL UNIQUE,
    payload          TEXT    NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('due', 'delivered', 'dead', 'dropped')),
    attempts         INTEGER NOT NULL DEFAULT 0,
    -- When it is tried next; of a row under way, when its taker counts as lost.
    next_attempt_at  INTEGER NOT NULL,
    under_way        INTEGER NOT NULL DEFAULT 0 CHECK (under_way IN (0, 1)),
    last_error       TEXT,
    created_at       INTEGER NOT NULL,
    first_attempt_at INTEGER,
    settled_at       INTEGER
) STRICT;
CREATE INDEX outbox_of_finding ON outbox (finding, receiver, id);
CREATE INDEX outbox_due ON outbox (receiver, next_attempt_at, id) WHERE state = 'due';
CREATE INDEX outbox_under_way ON outbox (next_attempt_at) WHERE under_way = 1;
CREATE INDEX outbox_dead ON outbox (receiver, id) WHERE state = 'dead';
CREATE INDEX outbox_settled ON outbox (settled_at) WHERE state IN ('delivered', 'dropped');

CREATE TABLE window_entries (
    rule       TEXT    NOT NULL,
    chain      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    height     INTEGER NOT NULL,
    block_hash BLOB    NOT NULL CHECK (length(block_hash) = 32),
    ordinal    INTEGER NOT NULL,
    time       INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('match', 'state', 'start')),
    value      TEXT    NOT NULL,
    PRIMARY KEY (rule, chain, key, block_hash, kind, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX window_entries_of_block ON window_entries (chain, block_hash);
CREATE INDEX window_entries_by_age ON window_entries (rule, chain, time);

CREATE TABLE implementations (
    chain          TEXT    NOT NULL,
    proxy          BLOB    NOT NULL CHECK (length(proxy) = 20),
    height         INTEGER NOT NULL,
    block_hash     BLOB    NOT NULL CHECK (length(block_hash) = 32),
    implementation BLOB    NOT NULL CHECK (length(implementation) = 20),
    PRIMARY KEY (chain, proxy, height)
) STRICT, WITHOUT ROWID;
CREATE INDEX implementations_of_block ON implementations (chain, block_hash);

CREATE TABLE rule_errors (
    rule     TEXT PRIMARY KEY,
    count    INTEGER NOT NULL,
    message  TEXT    NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    secret_hash  BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER
) STRICT;
