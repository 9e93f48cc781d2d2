-- The audit chain: one for each workspace, and where it begins and ends (docs/decisions/0011-audit-chain.md).

-- Append-only. `who` and `what` can be erased, the chain holds their digests alone.
create table audit (
    workspace_id integer not null,
    seq integer not null,                         -- 1, 2, 3 … without a gap
    at_ms integer not null,
    verb text not null,
    who text,                                     -- JSON {kind, id, name, address, user_agent, request_id}, null: erased
    who_salt blob not null,                       -- 16 random bytes, or the seal of an erasure
    who_digest blob not null,                     -- SHA-256 of salt and text
    what text,                                    -- JSON {id, data, also}, null: erased
    what_salt blob not null,
    what_digest blob not null,
    chain blob not null,                          -- SHA-256 of the chain before, and of this row without its texts
    mac blob not null,                            -- of the chain, by a key that is not in the database
    actor_id text generated always as (json_extract(who, '$.id')) virtual,
    thing_id text generated always as (json_extract(what, '$.id')) virtual,
    primary key (workspace_id, seq)
) strict, without rowid;
create index audit_actor on audit (workspace_id, actor_id, seq) where actor_id is not null;
create index audit_thing on audit (workspace_id, thing_id, seq) where thing_id is not null;
create index audit_verb on audit (workspace_id, verb, seq);

create table audit_head (
    workspace_id integer not null primary key,
    first_seq integer not null,                   -- the oldest row that is kept
    first_chain blob not null,                    -- the chain before it
    seq integer not null,                         -- the newest row
    chain blob not null,
    mac blob not null                             -- of all of these
) strict;

create trigger audit_kept before delete on audit
when old.seq >= coalesce((select first_seq from audit_head where workspace_id = old.workspace_id), 0)
begin select raise(abort, 'the audit log is only added to'); end;

create trigger audit_unchanged before update on audit
when new.workspace_id is not old.workspace_id or new.seq is not old.seq or new.at_ms is not old.at_ms
    or new.verb is not old.verb or new.who_digest is not old.who_digest or new.what_digest is not old.what_digest
    or new.chain is not old.chain or new.mac is not old.mac
    or (new.who is not old.who and new.who is not null) or (new.what is not old.what and new.what is not null)
begin select raise(abort, 'the audit log is only added to'); end;

-- What was refused, counted by the hour: failed sign-ins, limits, forged requests.
create table security_count (
    hour integer not null,                        -- hours since 1970
    workspace_id integer not null,
    kind text not null,
    address text not null,
    actor text not null,                          -- kind:id of who was known, '' for nobody
    n integer not null,
    first_ms integer not null,
    last_ms integer not null,
    route text not null,                          -- of the latest one
    request_id text not null,
    primary key (hour, workspace_id, kind, address, actor)
) strict, without rowid;
