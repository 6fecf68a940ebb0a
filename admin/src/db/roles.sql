-- What an account may do beyond its own volumes. The root account is an owner.
ALTER TABLE accounts ADD COLUMN role TEXT NOT NULL DEFAULT 'tenant' CHECK (role IN ('owner', 'reader', 'tenant'));
UPDATE accounts SET role = 'owner' WHERE root = 1;
