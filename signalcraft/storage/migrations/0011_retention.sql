-- How long a workspace keeps things, where it says otherwise than the settings; null: as the settings say.
create table workspace_retention (
    workspace_id integer not null primary key references workspace (id),
    group_days integer,
    delivery_days integer,
    escalation_days integer,
    payload_days integer,
    audit_days integer,
    archive integer
) strict;

-- Rows that were put back from the archive, and until when no night takes them away again.
create table restored (
    kind text not null,                           -- the table
    row integer not null,                         -- its id there
    until_ms integer not null,
    primary key (kind, row)
) strict, without rowid;
create index restored_until on restored (until_ms);

-- What is old is found without reading what is not.
create index alert_group_old on alert_group (workspace_id, resolved_ms) where status = 'resolved';
create index event_loose on event (id) where group_id is null;
