-- What the overview asks of thousands of groups at once: which began when, and when each was first acknowledged.

create index alert_group_began on alert_group (workspace_id, first_seen_ms, integration_id);
create index journal_acknowledged on journal (group_id, at_ms) where verb = 'acknowledged';
