-- Counters rolled up to quarters of an hour, hours and days, so that an overview of any length reads some thousand rows.

-- One row. Every minute before `minute` is in the tables below; what is counted for such a minute later (a group that
-- is acknowledged on another day, a clock that steps back) goes into them at once, and `late` says how often it did.
-- Groups and acknowledgements with a larger id are counted: one that comes back from the archive was counted before.
create table rolled_mark (
    id integer primary key check (id = 1),
    minute integer not null,
    late integer not null,
    group_id integer not null,
    journal_id integer not null
) strict;

create table rolled_count (
    workspace_id integer not null,
    width integer not null check (width in (15, 60, 1440)),   -- minutes
    at integer not null,                                      -- the first minute, a multiple of the width
    what text not null,
    subject integer not null,
    n integer not null,
    primary key (workspace_id, width, what, subject, at)
) strict, without rowid;

-- Which counters there are: each is summed up on its own.
create table rolled_key (
    workspace_id integer not null,
    what text not null,
    subject integer not null,
    primary key (workspace_id, what, subject)
) strict, without rowid;

-- The same, of all subjects together.
create table rolled_total (
    workspace_id integer not null,
    width integer not null check (width in (15, 60, 1440)),
    at integer not null,
    what text not null,
    n integer not null,
    primary key (workspace_id, width, what, at)
) strict, without rowid;

-- What the appliance's own groups add up to is counted like everything else, in the minute of the group's first event:
-- began, answered and answer_ms (the first acknowledgement), and in the minute of its resolution mended and mend_ms
-- (by a person or the source, while it stays resolved). The subject is the integration.
insert or replace into minute_count select workspace_id, first_seen_ms / 60000, 'began', integration_id, count(*)
    from alert_group where true group by 1, 2, 4;
insert or replace into minute_count select workspace_id, first_seen_ms / 60000, 'answered', integration_id, count(*)
    from alert_group g where exists (select 1 from journal where group_id = g.id and verb = 'acknowledged') group by 1, 2, 4;
insert or replace into minute_count select workspace_id, first_seen_ms / 60000, 'answer_ms', integration_id,
    sum((select min(at_ms) from journal where group_id = g.id and verb = 'acknowledged') - first_seen_ms)
    from alert_group g where exists (select 1 from journal where group_id = g.id and verb = 'acknowledged') group by 1, 2, 4;
insert or replace into minute_count select workspace_id, resolved_ms / 60000, 'mended', integration_id, count(*)
    from alert_group where status = 'resolved' and resolved_by <> 'SignalCraft' group by 1, 2, 4;
insert or replace into minute_count select workspace_id, resolved_ms / 60000, 'mend_ms', integration_id, sum(resolved_ms - first_seen_ms)
    from alert_group where status = 'resolved' and resolved_by <> 'SignalCraft' group by 1, 2, 4;

insert into rolled_mark values (1, 0, 0, (select coalesce(max(id), 0) from alert_group),
    (select coalesce(max(id), 0) from journal));

create trigger minute_count_late after insert on minute_count
when new.minute < (select minute from rolled_mark where id = 1)
begin insert into rolled_key values (new.workspace_id, new.what, new.subject) on conflict do nothing; insert into rolled_count select new.workspace_id, value, new.minute - new.minute % value, new.what, new.subject, new.n from json_each('[15, 60, 1440]') where true on conflict do update set n = n + excluded.n; insert into rolled_total select new.workspace_id, value, new.minute - new.minute % value, new.what, new.n from json_each('[15, 60, 1440]') where true on conflict do update set n = n + excluded.n; update rolled_mark set late = late + 1 where id = 1; end;

create trigger minute_count_later after update of n on minute_count
when new.minute < (select minute from rolled_mark where id = 1)
begin insert into rolled_key values (new.workspace_id, new.what, new.subject) on conflict do nothing; insert into rolled_count select new.workspace_id, value, new.minute - new.minute % value, new.what, new.subject, new.n - old.n from json_each('[15, 60, 1440]') where true on conflict do update set n = n + excluded.n; insert into rolled_total select new.workspace_id, value, new.minute - new.minute % value, new.what, new.n - old.n from json_each('[15, 60, 1440]') where true on conflict do update set n = n + excluded.n; update rolled_mark set late = late + 1 where id = 1; end;

create trigger alert_group_began_counted after insert on alert_group
when new.id > (select group_id from rolled_mark where id = 1)
begin insert into minute_count values (new.workspace_id, new.first_seen_ms / 60000, 'began', new.integration_id, 1) on conflict do update set n = n + 1; insert into minute_count select new.workspace_id, new.resolved_ms / 60000, 'mended', new.integration_id, 1 where new.status = 'resolved' and new.resolved_by <> 'SignalCraft' on conflict do update set n = n + 1; insert into minute_count select new.workspace_id, new.resolved_ms / 60000, 'mend_ms', new.integration_id, new.resolved_ms - new.first_seen_ms where new.status = 'resolved' and new.resolved_by <> 'SignalCraft' on conflict do update set n = n + excluded.n; update rolled_mark set group_id = new.id where id = 1; end;

create trigger alert_group_mended_counted after update of status on alert_group
when new.status = 'resolved' and old.status <> 'resolved' and new.resolved_by <> 'SignalCraft'
begin insert into minute_count values (new.workspace_id, new.resolved_ms / 60000, 'mended', new.integration_id, 1) on conflict do update set n = n + 1; insert into minute_count values (new.workspace_id, new.resolved_ms / 60000, 'mend_ms', new.integration_id, new.resolved_ms - new.first_seen_ms) on conflict do update set n = n + excluded.n; end;

create trigger alert_group_reopened_counted after update of status on alert_group
when old.status = 'resolved' and new.status <> 'resolved' and old.resolved_by <> 'SignalCraft'
begin insert into minute_count values (old.workspace_id, old.resolved_ms / 60000, 'mended', old.integration_id, -1) on conflict do update set n = n - 1; insert into minute_count values (old.workspace_id, old.resolved_ms / 60000, 'mend_ms', old.integration_id, old.first_seen_ms - old.resolved_ms) on conflict do update set n = n + excluded.n; end;

create trigger journal_answered_counted after insert on journal
when new.verb = 'acknowledged' and new.group_id is not null and new.id > (select journal_id from rolled_mark where id = 1)
begin insert into minute_count select workspace_id, first_seen_ms / 60000, 'answered', integration_id, 1 from alert_group g where g.id = new.group_id and not exists (select 1 from journal where group_id = new.group_id and verb = 'acknowledged' and id <> new.id) on conflict do update set n = n + 1; insert into minute_count select workspace_id, first_seen_ms / 60000, 'answer_ms', integration_id, new.at_ms - first_seen_ms from alert_group g where g.id = new.group_id and not exists (select 1 from journal where group_id = new.group_id and verb = 'acknowledged' and id <> new.id) on conflict do update set n = n + excluded.n; update rolled_mark set journal_id = new.id where id = 1; end;

-- The overview counts the severities of thousands of groups by these indexes alone.
drop index alert_group_recent;
create index alert_group_recent on alert_group (workspace_id, last_seen_ms, id, severity);
drop index alert_group_status;
create index alert_group_status on alert_group (workspace_id, status, last_seen_ms, id, severity);
