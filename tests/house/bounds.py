"""Draws docs/reference/limits.md: the settings that bound something, and the bounds that no setting moves."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Final

from signalcraft.config.fields import fields
from signalcraft.config.profiles import PROFILES

PAGE = "docs/reference/limits.md"
_HEAD = """\
# Limits

This page is generated from the program (`make gen`). What happens above a limit, and why, is
[explained here](../explanation/limits.md): nothing is dropped in silence. How much one box takes:
[capacity](../explanation/capacity.md).

## That settings move

A profile other than `production` has the defaults of its column; 0 turns a rate off. More on each setting, and how to
set it: [configuration](configuration.md).

| setting | production | staging | development | what it bounds |
|---|---|---|---|---|
"""
SETTINGS: Final = (
    "limits.", "http.body_bytes_max", "http.json_depth_max", "http.headers_max", "http.header_bytes_max",
    "http.header_seconds", "http.request_seconds", "http.send_seconds", "http.connections_max",
    "http.connections_per_address_max", "grouping.idempotency_days", "delivery.retry_hours_max",
    "delivery.timeout_seconds", "delivery.ack_link_hours", "security.session_idle_hours", "security.session_days",
)  # fmt: skip
"""What bounds something: a section, or one setting."""
FIXED: Final = {
    "Webhooks": {
        "services.ingest.CHUNK": "members of one POST that go into one transaction; a longer list takes several",
        "domain.event.TITLE_MAX": "characters of an event's title; what is longer is cut",
        "domain.event.MESSAGE_MAX": "characters of its message",
        "domain.event.TAGS_MAX": "tags of an event",
        "domain.event.TAG_VALUE_MAX": "characters of a tag's value",
        "http.headers.ADDRESS_MAX": "characters of an address with its query",
        "http.limits.HOPS_MAX": "hops that are read of X-Forwarded-For",
    },
    "Routing rules": {
        "domain.routing.RULES_MAX": "rules a workspace may have",
        "domain.routing.CHANNELS_MAX": "channels a rule may tell, and as many that it may escalate to",
        "domain.routing.MINUTES_MAX": "minutes until an escalation or a repeat",
        "domain.routing.RUNBOOK_MAX": "characters of a rule's runbook",
        "domain.matcher.condition.LEAVES_MAX": "questions of a rule",
        "domain.matcher.condition.DEPTH_MAX": "levels of its conditions",
        "domain.matcher.condition.LIST_MAX": "values of a list in a question",
        "domain.matcher.condition.TEXT_MAX": "characters of a value, so also of a pattern",
        "domain.matcher.condition.INPUT_MAX": "bytes of a text that a pattern is shown",
    },
    "People, keys, names": {
        "services.configure.edit.NAME_MAX": "characters of a name",
        "services.accounts.NAME_MAX": "characters of an API key's name",
        "services.sessions.EACH_MAX": "browsers in which one person is signed in; the oldest is signed out",
        "services.passkeys.EACH_MAX": "passkeys of one person",
        "services.savedviews.VIEWS_MAX": "saved views of one person, and as many that are shared",
        "services.gate.WAITING_MAX": "sign-ins that wait while passwords are checked one at a time",
        "services.configure.integrations.OVERLAP_MINUTES_MAX": "minutes for which an earlier token may stay good",
    },
    "Alert groups": {
        "services.comments.A_GROUP_MAX": "comments of a group",
        "services.comments.BYTES_MAX": "bytes of a comment",
        "services.shares.A_GROUP_MAX": "links that show a group to others",
        "services.shares.HOURS_MAX": "hours for which such a link is good",
        "http.groups.SNOOZE_MINUTES_MAX": "minutes of a snooze",
        "http.inbox.IDS_MAX": "groups that are answered at once",
        "services.deliver.again.MOST": "deliveries that are retried at once",
    },
    "Files and questions": {
        "services.applyfile.ENTRIES_MAX": "entries of one section in a file for `apply`",
        "services.tomltext.TEXT_MAX": "characters of such a file",
        "http.ruletools.ALERTS_MAX": "last alerts that a rule is tried on",
        "services.care.archives.SEARCH_MAX": "rows that a search of the archive answers",
        "services.erasure.EXPORT_MAX": "rows of one sort in what is told about a person",
    },
    "Open dashboards": {
        "http.live.STREAMS_MAX": "event streams at once",
        "http.live.WAITING_MAX": "events that wait for a slow one; then it gets `reset`",
        "http.feed.REPLAY_MAX": "lines of the journal that are caught up with after a break; more is a `reset`",
        "services.caching.ENTRIES_MAX": "answers that are kept in memory",
    },
}
"""Constants by where they are read, as module.NAME below signalcraft."""


def fixed() -> Iterator[tuple[str, str, int]]:
    """(section, name below signalcraft, value). Raises AttributeError for one that is no more."""
    for section, names in FIXED.items():
        for name in names:
            module, _, constant = name.rpartition(".")
            yield section, name, getattr(importlib.import_module(f"signalcraft.{module}"), constant)


def page() -> str:
    """The whole page."""
    rows = []
    for path, field in fields().items():
        if not any(path == one or (one.endswith(".") and path.startswith(one)) for one in SETTINGS):
            continue
        values = [PROFILES[profile].get(path, field.default) for profile in ("production", "staging", "development")]
        shown = " | ".join(f"{value:,}" if isinstance(value, int | float) else f"`{value}`" for value in values)
        rows.append(f"| `{path}` | {shown} | {field.meta.description} |")
    out = [_HEAD + "\n".join(rows) + "\n\n## That nothing moves\n"]
    for section, names in FIXED.items():
        out.append(f"### {section}\n\n| at most | of |\n|---|---|")
        out += [f"| {value:,} | {names[name]} |" for where, name, value in fixed() if where == section]
        out.append("")
    return "\n".join(out)


def main() -> None:
    """Prints it."""
    sys.stdout.write(page())


if __name__ == "__main__":
    main()
