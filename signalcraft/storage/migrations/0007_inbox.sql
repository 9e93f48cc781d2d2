-- Saved views: a search of the inbox by name, one person's own or shared with the workspace.

create table saved_view (
    id integer primary key,
    workspace_id integer not null references workspace (id),
    person_id integer references person (id) on delete cascade,   -- whose it is; null: an API key made it, for all
    name text not null,
    search text not null,
    sort text not null,
    descending integer not null,
    group_by text not null,
    shared integer not null,
    created_ms integer not null,
    updated_ms integer not null
) strict;
create unique index saved_view_own on saved_view (workspace_id, person_id, name) where shared = 0;
create unique index saved_view_shared on saved_view (workspace_id, name) where shared = 1;
