-- The page of an alert group: what people write about it, links that show it to others, and whose runbook it has.
create table comment (
    id integer primary key,
    workspace_id integer not null,
    group_id integer not null,
    author text not null,                         -- Actor as JSON
    text text not null,                           -- Markdown, as it was written
    created_ms integer not null,
    edited_ms integer
) strict;
create index comment_group on comment (group_id, id);

create table share (
    id integer primary key,
    workspace_id integer not null,
    group_id integer not null,
    author text not null,                         -- Actor as JSON: who gave the link away
    created_ms integer not null,
    expires_ms integer not null,
    revoked_ms integer
) strict;
create index share_group on share (group_id, id);

-- The first rule with a runbook that held for the group.
alter table alert_group add column runbook_rule_id integer;

-- "The same title elsewhere".
create index alert_group_title on alert_group (workspace_id, title);
