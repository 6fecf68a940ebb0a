-- The audit log lies in files. Here is what they must hold, and what may not be safe in them yet.

-- One row: number and hash of the last line, number of the first one kept.
CREATE TABLE audit_state (sealed BLOB NOT NULL) STRICT;

CREATE TABLE audit_waiting (
    seq  INTEGER PRIMARY KEY,
    line TEXT NOT NULL
) STRICT;

-- How far each metadata server's report of its sessions was taken in.
CREATE TABLE audit_reports (
    meta_store_id TEXT PRIMARY KEY REFERENCES meta_stores (id) ON DELETE CASCADE,
    run           TEXT NOT NULL,
    next          INTEGER NOT NULL,
    ended         INTEGER NOT NULL CHECK (ended IN (0, 1))
) STRICT;
