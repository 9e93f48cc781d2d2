-- The first shape: everything from a webhook's bytes to the messages owed for it.
-- Ids are made by domain/ids.py and grow with time. Times are milliseconds since 1970 UTC. Every row has a workspace_id.

create table workspace (
    id integer primary key,
    name text not null unique,
    settings text not null default '{}',          -- JSON: default_channels, fallback_channel, … (domain/people.py grows here)
    created_ms integer not null
) strict;

create table integration (
    id integer primary key,
    workspace_id integer not null references workspace (id),
    name text not null,
    kind text not null,
    config text not null,                         -- JSON of the source's Config without its secrets
    secrets blob,                                 -- sealed JSON {field: value}
    previous_secrets blob,                        -- sealed; good until previous_until_ms (rotation with overlap)
    token_hash blob not null unique,              -- blake2b-16 of the URL token
    token_hint text not null,                     -- its last four characters
    previous_token_hash blob,
    previous_until_ms integer,
    enabled integer not null default 1,
    created_ms integer not null,
    updated_ms integer not null,
    unique (workspace_id, name)
) strict;
create index integration_previous on integration (previous_token_hash) where previous_token_hash is not null;

create table channel (
    id integer primary key,
    workspace_id integer not null references workspace (id),
    name text not null,
    kind text not null,
    config text not null,
    secrets blob,
    enabled integer not null default 1,
    state text not null default 'ok' check (state in ('ok', 'broken')),
    broken_why text,
    broken_ms integer,
    last_sent_ms integer,
    previous_until_ms integer,                    -- until then an earlier secret signs too (rotation with overlap)
    created_ms integer not null,
    updated_ms integer not null,
    unique (workspace_id, name)
) strict;

create table rule (
    id integer primary key,
    workspace_id integer not null references workspace (id),
    name text not null,
    priority integer not null,
    enabled integer not null default 1,
    body text not null,                           -- JSON: when, channels (ids), mention, stop, escalate…, repeat…, runbook_url
    created_ms integer not null,
    updated_ms integer not null,
    unique (workspace_id, name)
) strict;

create table api_key (
    id integer primary key,
    workspace_id integer not null references workspace (id),
    name text not null,
    prefix text not null,
    key_hash blob not null unique,                -- blake2b-32 of the whole key: 256 random bits need no slow hash
    scopes text not null,                         -- JSON list
    created_ms integer not null,
    expires_ms integer,
    last_used_ms integer,
    revoked_ms integer
) strict;

-- One row a POST: the bytes exactly as they came (zstd). Read ones belong to events, quarantined ones wait for a person.
create table inbox (
    id integer primary key,
    workspace_id integer not null,
    integration_id integer not null,
    received_ms integer not null,
    state text not null check (state in ('read', 'quarantined', 'replayed', 'dropped')),
    why text,
    rest text not null default '',
    query text not null default '',
    headers text not null,                        -- JSON {name: value}; credentials removed
    codec integer not null,                       -- 0 raw, 1 zstd, 2 zstd with dictionary 1
    body blob not null
) strict;
create index inbox_quarantine on inbox (workspace_id, id) where state <> 'read';

-- What has been said already: one row a statement, pruned by age.
create table delivered_statement (
    integration_scope integer not null,           -- 63-bit hash of the grouping scope
    key blob not null,                            -- 16 bytes
    event_id integer not null,
    primary key (integration_scope, key)
) strict, without rowid;
create index delivered_statement_age on delivered_statement (event_id);

create table event (
    id integer primary key,
    workspace_id integer not null,
    integration_id integer not null,
    group_id integer,
    inbox_id integer,                             -- null: the bytes were dropped (a sampled repeat)
    source text not null,
    kind text not null,
    status text,
    severity integer,
    project text,
    environment text,
    title text,
    message text not null,
    source_event_id text,
    dedup_key text,
    link text,
    tags text not null,                           -- JSON {k: v}
    users integer,
    action text,
    actor text,
    occurred_ms integer,
    received_ms integer not null
) strict;
create index event_group on event (group_id, id) where group_id is not null;

create table alert_group (
    id integer primary key,
    workspace_id integer not null,
    integration_id integer not null,              -- of its first event
    scope text not null,
    identity integer not null,                    -- hash of scope and fingerprint: every group of one problem
    group_key text not null,
    source text not null,
    project text,
    environment text,
    fingerprint text not null,
    title text not null,
    message text not null,
    link text,
    tags text not null,                           -- JSON, of the latest firing event
    severity integer not null,
    status text not null check (status in ('open', 'acknowledged', 'snoozed', 'resolved')),
    count integer not null,
    episode integer not null,
    first_seen_ms integer not null,
    last_seen_ms integer not null,
    retold_ms integer not null,                   -- last time people were told (first, repeat, escalation): repeats count from it
    severity_at_answer integer,                   -- severity when acknowledged or snoozed: a rise above it breaks through
    acknowledged_ms integer,
    acknowledged_by text,
    assignee text,                                -- JSON {kind, id, name}
    snoozed_until_ms integer,
    resolved_ms integer,
    resolved_by text,
    resolution_note text,
    runbook_url text,
    users_affected integer,
    settle_ms integer,                            -- its first message waits until then for an environment
    spike_minute integer,                         -- last minute at which a spike was looked for
    memory text,                                  -- how earlier groups of its key ended
    updated_ms integer not null
) strict;
create unique index alert_group_unresolved on alert_group (workspace_id, group_key) where status <> 'resolved';
create index alert_group_identity on alert_group (identity, id);
create index alert_group_recent on alert_group (workspace_id, last_seen_ms, id);
create index alert_group_status on alert_group (workspace_id, status, last_seen_ms, id);
create index alert_group_settle on alert_group (settle_ms) where settle_ms is not null;
create index alert_group_snoozed on alert_group (snoozed_until_ms) where status = 'snoozed';
create index alert_group_acknowledged on alert_group (acknowledged_ms) where status = 'acknowledged';

-- Events a minute of one group: spikes, velocity, sparklines.
create table group_minute (
    group_id integer not null,
    minute integer not null,                      -- minutes since 1970
    events integer not null,
    primary key (group_id, minute)
) strict, without rowid;

-- Everything counted a minute: what the overview and the limits page read.
create table minute_count (
    workspace_id integer not null,
    minute integer not null,
    what text not null,                           -- events, duplicates, sampled, quarantined, refused_signature, refused_limit, notifications, …
    subject integer not null,                     -- integration or channel id, 0 for none
    n integer not null,
    primary key (workspace_id, minute, what, subject)
) strict, without rowid;

-- One row a group and channel that was told: the message to edit, and what it was told about.
create table conversation (
    group_id integer not null,
    channel_id integer not null,
    rule_id integer,                              -- null: the default route, a fallback or an escalation
    mention text not null default '',
    episode integer not null,
    severity integer not null,
    repeat_ms integer,                            -- tell again after so long unanswered
    next_repeat_ms integer,
    receipt text not null default '{}',           -- JSON; {} until the first post was taken
    via text not null default 'route' check (via in ('route', 'escalation', 'fallback')),
    edits integer not null default 0,             -- whether its channel can edit a posted message
    posted_ms integer,                            -- when the message was taken, null while there is none
    primary key (group_id, channel_id)
) strict, without rowid;
create index conversation_repeat on conversation (next_repeat_ms) where next_repeat_ms is not null;

-- The ledger of what is owed. A row leaves 'owed' only by being taken, dropped by a person, or failing loudly.
create table delivery (
    id integer primary key,
    workspace_id integer not null,
    group_id integer,
    channel_id integer not null,
    kind text not null check (kind in ('first', 'update', 'repeat', 'escalation', 'resolved', 'test')),
    state text not null check (state in ('owed', 'sending', 'sent', 'failed', 'dropped')),
    rank integer not null,                        -- 0 posts before 1 edits
    episode integer not null default 1,
    rule_id integer,
    event_id integer,                             -- the event that made it owed
    mention text not null default '',
    reason text not null default '',
    fallback_of integer,                          -- the delivery it stands in for
    plain integer not null default 0,
    attempts integer not null default 0,
    last_error text,
    owed_ms integer not null,
    next_ms integer not null,
    lease_ms integer,
    hold_ms integer,                              -- not before then: the vendor said so (Retry-After)
    tried_ms integer,                             -- when the last try began: pacing goes on from there after a restart
    sent_ms integer
) strict;
create index delivery_due on delivery (channel_id, rank, next_ms, id) where state = 'owed';
create index delivery_sending on delivery (lease_ms) where state = 'sending';
create unique index delivery_one_edit on delivery (group_id, channel_id) where state = 'owed' and kind = 'update';
create index delivery_test on delivery (channel_id, next_ms) where state = 'owed' and kind = 'test';
create index delivery_open on delivery (group_id, channel_id, id) where state in ('owed', 'sending');
create index delivery_fallback on delivery (fallback_of) where fallback_of is not null;
create index delivery_group on delivery (group_id, id) where group_id is not null;
create index delivery_state on delivery (workspace_id, state, id);

create table escalation (
    id integer primary key,
    workspace_id integer not null,
    group_id integer not null,
    rule_id integer not null,                     -- 0: the default route
    episode integer not null,
    due_ms integer not null,
    channels text not null,                       -- JSON list of channel ids
    after_minutes integer not null,
    state text not null check (state in ('pending', 'fired', 'cancelled')),
    ended_ms integer,
    late_ms integer,
    unique (group_id, rule_id, episode)
) strict;
create index escalation_due on escalation (due_ms) where state = 'pending';

-- Append-only: who did what, when. Timelines, audit and the live feed are views of it.
create table journal (
    id integer primary key,
    workspace_id integer not null,
    at_ms integer not null,
    group_id integer,
    verb text not null,                           -- opened, reopened, episode, rose, acknowledged, snoozed, …
    actor text not null,                          -- JSON {kind, id, name}
    data text not null default '{}'               -- JSON
) strict;
create index journal_group on journal (group_id, id) where group_id is not null;

-- Times at which we could not take alerts: down, overloaded, disk full.
create table gap (
    id integer primary key,
    workspace_id integer not null,
    why text not null,
    from_ms integer not null,
    until_ms integer not null,
    refused integer not null default 0
) strict;

-- Single values of the whole appliance: alive_ms, key check, dictionary version.
create table fact (
    name text primary key,
    value text not null
) strict, without rowid;

-- Key material wrapped by the master key, one row a workspace and key generation.
create table vault_key (
    id integer primary key,                       -- the key id written into every ciphertext
    workspace_id integer not null,
    salt blob not null,
    created_ms integer not null,
    retired_ms integer
) strict;
