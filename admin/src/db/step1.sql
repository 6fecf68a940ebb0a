-- Ids are UUIDs in text, times RFC 3339 in UTC. Secrets lie sealed; tokens are found by their keyed hash.

CREATE TABLE key_check (sealed BLOB NOT NULL) STRICT;

CREATE TABLE accounts (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    email        TEXT NOT NULL,
    root         INTEGER NOT NULL CHECK (root IN (0, 1)),
    token_hash   BLOB NOT NULL UNIQUE,
    token_sealed BLOB NOT NULL,
    created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX accounts_root ON accounts (root) WHERE root = 1;

CREATE TABLE block_apis (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;
INSERT INTO block_apis VALUES ('local', 'Folder on the host of the mount');

CREATE TABLE providers (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;
INSERT INTO providers VALUES ('local', 'This host');

CREATE TABLE regions (
    provider_code TEXT NOT NULL REFERENCES providers (code),
    code          TEXT NOT NULL,
    name          TEXT NOT NULL,
    PRIMARY KEY (provider_code, code)
) STRICT;
INSERT INTO regions VALUES ('local', 'local', 'This host');

CREATE TABLE block_stores (
    id            TEXT PRIMARY KEY,
    provider_code TEXT NOT NULL,
    region_code   TEXT NOT NULL,
    api_code      TEXT NOT NULL REFERENCES block_apis (code),
    bucket        TEXT NOT NULL,
    prefix        TEXT NOT NULL,
    address       TEXT NOT NULL,
    created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    FOREIGN KEY (provider_code, region_code) REFERENCES regions (provider_code, code)
) STRICT;

CREATE TABLE meta_stores (
    id            TEXT PRIMARY KEY,
    provider_code TEXT NOT NULL,
    region_code   TEXT NOT NULL,
    address       TEXT NOT NULL,
    token_hash    BLOB NOT NULL UNIQUE,
    token_sealed  BLOB NOT NULL,
    fingerprint   TEXT,
    version       TEXT,
    created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    FOREIGN KEY (provider_code, region_code) REFERENCES regions (provider_code, code)
) STRICT;

CREATE TABLE volumes (
    id             TEXT PRIMARY KEY,
    account_id     TEXT NOT NULL REFERENCES accounts (id),
    name           TEXT NOT NULL,
    meta_store_id  TEXT NOT NULL REFERENCES meta_stores (id),
    block_store_id TEXT NOT NULL REFERENCES block_stores (id),
    block_size     INTEGER NOT NULL CHECK (block_size > 0),
    compression    TEXT NOT NULL,
    retention      INTEGER NOT NULL CHECK (retention >= -1),
    max_blocks     INTEGER NOT NULL CHECK (max_blocks >= 0),
    max_inodes     INTEGER NOT NULL CHECK (max_inodes >= 0),
    flags          TEXT NOT NULL,
    notes          TEXT NOT NULL,
    bytes_used     INTEGER NOT NULL DEFAULT 0 CHECK (bytes_used >= 0),
    inodes_used    INTEGER NOT NULL DEFAULT 0 CHECK (inodes_used >= 0),
    sessions       INTEGER NOT NULL DEFAULT 0 CHECK (sessions >= 0),
    created_at     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    retired_at     TEXT,
    retired        INTEGER NOT NULL GENERATED ALWAYS AS (retired_at IS NOT NULL) VIRTUAL
) STRICT;
-- A retired volume gives its name free.
CREATE UNIQUE INDEX volumes_name ON volumes (account_id, name) WHERE retired_at IS NULL;
CREATE INDEX volumes_meta_store ON volumes (meta_store_id);
CREATE INDEX volumes_block_store ON volumes (block_store_id);

CREATE TABLE volume_tokens (
    id           TEXT PRIMARY KEY,
    volume_id    TEXT NOT NULL REFERENCES volumes (id),
    token_hash   BLOB NOT NULL UNIQUE,
    token_sealed BLOB NOT NULL,
    mount_path   TEXT NOT NULL,
    flags        TEXT NOT NULL,
    notes        TEXT NOT NULL,
    created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;
CREATE INDEX volume_tokens_volume ON volume_tokens (volume_id);

-- Volume tokens with what decides who may see them.
CREATE VIEW owned_volume_tokens AS
    SELECT volume_tokens.*, volumes.account_id, volumes.retired
    FROM volume_tokens JOIN volumes ON volumes.id = volume_tokens.volume_id;
