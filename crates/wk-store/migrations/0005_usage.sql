-- What transactions did with watched contracts, in blocks that are not finalized yet: a row goes when
-- its block was reverted, or finalized and learned. What they look like is the detectors' business.

CREATE TABLE contract_uses (
    chain    TEXT    NOT NULL REFERENCES chains (chain),
    height   INTEGER NOT NULL CHECK (height >= 0),
    contract BLOB    NOT NULL CHECK (length(contract) = 20),
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    uses     TEXT    NOT NULL,
    PRIMARY KEY (chain, height, contract)
) STRICT, WITHOUT ROWID;

-- How watched contracts are usually used, learned from finalized blocks.
CREATE TABLE contract_profiles (
    chain    TEXT    NOT NULL REFERENCES chains (chain),
    contract BLOB    NOT NULL CHECK (length(contract) = 20),
    profile  TEXT    NOT NULL,
    PRIMARY KEY (chain, contract)
) STRICT, WITHOUT ROWID;
