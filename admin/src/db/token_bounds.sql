-- What bounds a volume token besides its subtree and flags, and what metadata servers say of its use.

ALTER TABLE volume_tokens ADD COLUMN expires INTEGER;
ALTER TABLE volume_tokens ADD COLUMN max_mounts INTEGER NOT NULL DEFAULT 0 CHECK (max_mounts >= 0);
ALTER TABLE volume_tokens ADD COLUMN allowed_networks TEXT NOT NULL DEFAULT '';
ALTER TABLE volume_tokens ADD COLUMN mounts INTEGER NOT NULL DEFAULT 0 CHECK (mounts >= 0);
ALTER TABLE volume_tokens ADD COLUMN last_used_at TEXT;

-- A view has the columns that its tables had when it was made.
DROP VIEW owned_volume_tokens;
CREATE VIEW owned_volume_tokens AS
    SELECT volume_tokens.*, volumes.account_id, volumes.retired
    FROM volume_tokens JOIN volumes ON volumes.id = volume_tokens.volume_id;
