-- Every change of a proxy or beacon, with the place of its log: which code ran for a log or a call of
-- the same block depends on it. What was read from the state has no place and counts after all logs.

CREATE TABLE upgrades (
    chain      TEXT    NOT NULL,
    address    BLOB    NOT NULL CHECK (length(address) = 20),
    aspect     TEXT    NOT NULL CHECK (aspect IN ('target', 'admin')),
    height     INTEGER NOT NULL CHECK (height >= 0),
    -- The log's place in the block; for a read, the largest number.
    place      INTEGER NOT NULL,
    block_hash BLOB    NOT NULL CHECK (length(block_hash) = 32),
    -- None for a read.
    tx_index   INTEGER,
    kind       TEXT    NOT NULL CHECK (kind IN ('implementation', 'beacon', 'admin', 'nothing')),
    value      BLOB    CHECK (length(value) = 20),
    CHECK ((kind = 'nothing') = (value IS NULL)),
    PRIMARY KEY (chain, address, aspect, height, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX upgrades_of_block ON upgrades (chain, block_hash);

INSERT INTO upgrades (chain, address, aspect, height, place, block_hash, kind, value)
    SELECT chain, proxy, 'target', height, 9223372036854775807, block_hash, 'implementation',
           implementation
    FROM implementations;
DROP TABLE implementations;
