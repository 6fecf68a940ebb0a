-- Whom callers count as, by the policy of a volume and of a token.

ALTER TABLE volumes ADD COLUMN as_user TEXT NOT NULL DEFAULT '';
ALTER TABLE volume_tokens ADD COLUMN as_user TEXT NOT NULL DEFAULT '';

-- A view has the columns that its tables had when it was made.
DROP VIEW owned_volume_tokens;
CREATE VIEW owned_volume_tokens AS
    SELECT volume_tokens.*, volumes.account_id, volumes.retired
    FROM volume_tokens JOIN volumes ON volumes.id = volume_tokens.volume_id;
