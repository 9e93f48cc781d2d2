-- Each run of the appliance's own care (backup, drill, purge, roll-up, upgrade): what it did and what came of it.
create table maintenance_run (
    id integer primary key,
    kind text not null,
    state text not null,                          -- running, ok, failed; cut: the program ended before it did
    began_ms integer not null,
    ended_ms integer,
    said text not null,                           -- one sentence; of a failure, why
    figures text not null                         -- JSON object: name to number or text
) strict;
create index maintenance_run_kind on maintenance_run (kind, id);
