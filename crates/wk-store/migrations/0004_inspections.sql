-- Blocks whose transactions are still to be inspected: a row goes when its block was inspected or
-- reverted. So what was not inspected before a stop is inspected after it.

CREATE TABLE inspections (
    chain        TEXT    NOT NULL REFERENCES chains (chain),
    height       INTEGER NOT NULL CHECK (height >= 0),
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    parent       BLOB    NOT NULL CHECK (length(parent) = 32),
    time         INTEGER NOT NULL,
    transactions INTEGER NOT NULL,
    since        INTEGER NOT NULL,
    PRIMARY KEY (chain, height)
) STRICT, WITHOUT ROWID;

-- How blocks were inspected, in sum: by the source of their traces, or `skipped`.
CREATE TABLE inspected (
    chain        TEXT    NOT NULL REFERENCES chains (chain),
    source       TEXT    NOT NULL,
    blocks       INTEGER NOT NULL,
    transactions INTEGER NOT NULL,
    newest       INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    PRIMARY KEY (chain, source)
) STRICT, WITHOUT ROWID;
