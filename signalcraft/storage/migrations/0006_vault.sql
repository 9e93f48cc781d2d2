-- The vault over changes of its master key.

alter table vault_key add column master text not null default '';   -- the check value of the master key it hangs on

-- Secrets of the box itself, sealed with workspace 0: what links and codes are signed with, whatever the master key is.
create table box_secret (
    name text primary key,
    sealed blob not null
) strict, without rowid;
