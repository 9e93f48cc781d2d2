-- How many alert groups there are of each status and severity, by the day of their last event: an overview counts a
-- hundred thousand of them from some hundred rows. Triggers keep it, in the transaction that writes a group, so that it
-- is exact at any moment, whoever writes and whatever comes back from the archive.
create table group_day (
    workspace_id integer not null,
    status text not null,
    day integer not null,                         -- of the last event, since 1970, UTC
    severity integer not null,
    n integer not null,
    primary key (workspace_id, status, day, severity)
) strict, without rowid;

insert into group_day select workspace_id, status, last_seen_ms / 86400000, severity, count(*)
    from alert_group where true group by 1, 2, 3, 4;

create trigger alert_group_day_came after insert on alert_group
begin insert into group_day values (new.workspace_id, new.status, new.last_seen_ms / 86400000, new.severity, 1) on conflict do update set n = n + 1; end;

create trigger alert_group_day_moved after update of workspace_id, status, severity, last_seen_ms on alert_group
when new.status <> old.status or new.severity <> old.severity or new.last_seen_ms / 86400000 <> old.last_seen_ms / 86400000 or new.workspace_id <> old.workspace_id
begin insert into group_day values (new.workspace_id, new.status, new.last_seen_ms / 86400000, new.severity, 1) on conflict do update set n = n + 1; update group_day set n = n - 1 where workspace_id = old.workspace_id and status = old.status and day = old.last_seen_ms / 86400000 and severity = old.severity; delete from group_day where workspace_id = old.workspace_id and status = old.status and day = old.last_seen_ms / 86400000 and severity = old.severity and n = 0; end;

create trigger alert_group_day_went after delete on alert_group
begin update group_day set n = n - 1 where workspace_id = old.workspace_id and status = old.status and day = old.last_seen_ms / 86400000 and severity = old.severity; delete from group_day where workspace_id = old.workspace_id and status = old.status and day = old.last_seen_ms / 86400000 and severity = old.severity and n = 0; end;
