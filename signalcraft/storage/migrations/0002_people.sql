-- People: who may sign in and what they may do, their sessions, and what keeps others out.
-- Tokens and codes are kept as hashes only. A person belongs to no workspace, a membership makes them part of one.

create table person (
    id integer primary key,
    email text not null unique,                   -- lower case
    name text not null,
    password_hash text,                           -- argon2id in PHC form, null: signs in in other ways only
    password_changed_ms integer,
    disabled_ms integer,                          -- since then they cannot sign in
    totp blob,                                    -- the sealed secret of the second factor, null: none
    totp_new blob,                                -- sealed, shown to them, not confirmed yet
    totp_step integer not null default 0,         -- the last 30 s step whose code was used
    created_ms integer not null
) strict;

create table membership (
    workspace_id integer not null references workspace (id),
    person_id integer not null references person (id) on delete cascade,
    role text not null check (role in ('owner', 'admin', 'member', 'viewer')),
    created_ms integer not null,
    primary key (workspace_id, person_id)
) strict, without rowid;
create index membership_person on membership (person_id);

-- Earlier passwords, which may not come back.
create table password_history (
    id integer primary key,
    person_id integer not null references person (id) on delete cascade,
    password_hash text not null
) strict;
create index password_history_person on password_history (person_id, id);

create table recovery_code (
    person_id integer not null references person (id) on delete cascade,
    code_hash blob not null,                      -- keyed BLAKE2b-16: 50 bits alone could be tried out
    used_ms integer,
    primary key (person_id, code_hash)
) strict, without rowid;

create table session (
    id integer primary key,
    person_id integer not null references person (id) on delete cascade,
    token_hash blob not null unique,              -- BLAKE2b-32 of the cookie's 256 random bits
    method text not null,                         -- how they signed in: password, setup, invitation, …
    address text not null,
    user_agent text not null,
    created_ms integer not null,
    last_seen_ms integer not null,
    expires_ms integer not null,                  -- the end, however busy it is
    step_up_ms integer not null,                  -- when a password or code was last entered
    revoked_ms integer
) strict;
create index session_person on session (person_id, id);

create table invitation (
    id integer primary key,
    workspace_id integer not null references workspace (id),
    email text not null,
    role text not null check (role in ('owner', 'admin', 'member', 'viewer')),
    token_hash blob not null unique,              -- BLAKE2b-32
    inviter text not null,                        -- JSON {kind, id, name}
    inviter_id integer,                           -- the person, null for an API key or the box itself
    created_ms integer not null,
    expires_ms integer not null,
    accepted_ms integer,
    revoked_ms integer
) strict;
create index invitation_workspace on invitation (workspace_id, id);

-- A link with which a person sets a new password, made for them by somebody above them.
create table password_reset (
    id integer primary key,
    person_id integer not null references person (id) on delete cascade,
    token_hash blob not null unique,              -- BLAKE2b-32
    second_factor integer not null default 0,     -- 1: it takes the second factor away as well
    created_ms integer not null,
    expires_ms integer not null
) strict;

-- Failed sign-ins of late, by account and by address. Accounts that do not exist count like those that do.
create table sign_in_failure (
    kind text not null check (kind in ('account', 'address')),
    subject blob not null,                        -- keyed BLAKE2b-16 of the e-mail address or the IP address
    n integer not null,
    since_ms integer not null,
    locked_until_ms integer not null,
    locks integer not null,
    last_ms integer not null,
    primary key (kind, subject)
) strict, without rowid;
create index sign_in_failure_age on sign_in_failure (last_ms);

-- The one code with which the first owner is made. At most one row, gone once it was used.
create table setup_code (
    code_hash blob primary key,                   -- BLAKE2b-32
    created_ms integer not null
) strict, without rowid;
