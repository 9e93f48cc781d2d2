-- The vault over changes of its master key, and keys of service accounts.

alter table vault_key add column master text not null default '';   -- the check value of the master key it hangs on

-- The service account that a key belongs to: several keys of one program, so that one can replace the other.
alter table api_key add column account text not null default '';

-- Secrets of the box itself, sealed with workspace 0: what links and codes are signed with, whatever the master key is.
create table box_secret (
    name text primary key,
    sealed blob not null
) strict, without rowid;
