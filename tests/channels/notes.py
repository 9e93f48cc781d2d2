"""Notes to compose in tests: one alert group in every state, and groups made of text that tries to break out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from signalcraft.domain import ids
from signalcraft.domain.delivery import GroupView, HttpCall, Mail, Note, Step

T0 = 1_772_359_200_000  # 2026-03-01T10:00:00Z
GROUP_ID = ids.show(408_000_000_000_000_000)

GROUP = GroupView(
    id=GROUP_ID,
    title="TypeError in checkout",
    message="Cannot read properties of undefined (reading 'id')\n  at pay (checkout.js:41)",
    severity="critical",
    status="open",
    source="sentry-prod",
    project="shop",
    environment="production",
    count=1204,
    episode=1,
    first_seen_ms=T0,
    last_seen_ms=T0 + 60_000,
    users_affected=37,
    velocity_per_hour=612.5,
    runbook_url="https://wiki.example.com/runbooks/checkout?step=1&of=2",
    link="https://sentry.example.com/issues/4711/",
    memory="Resolved 3 times before, last by Ann Example after 12 min: restarted the payment worker",
    tags={"release": "2026.3.1", "server": "web-3"},
)
NOTE = Note(
    kind="first",
    delivery_id="dlv0000000001",
    group=GROUP,
    now_ms=T0 + 61_000,
    mention="here",
    page_url="https://alerts.example.com/groups/1",
    ack_url="https://alerts.example.com/l/token",
    timezone="Europe/Berlin",
)

ACKNOWLEDGED = replace(GROUP, status="acknowledged", acknowledged_by="Ann Example", assignee="Ann Example", count=1310)
SNOOZED = replace(GROUP, status="snoozed", snoozed_until_ms=T0 + 3_600_000)
RESOLVED = replace(
    GROUP, status="resolved", resolved_ms=T0 + 12_000_000, resolved_by="Ann Example", resolution_note="rolled back"
)
BARE = GroupView(
    id=GROUP_ID,
    title="",
    message="",
    severity="low",
    status="open",
    source="",
    project=None,
    environment=None,
    count=1,
    episode=1,
    first_seen_ms=0,
    last_seen_ms=0,
)

CASES: dict[str, Note] = {
    "first": NOTE,
    "first-bare": Note(kind="first", delivery_id="d", group=BARE, now_ms=T0),
    "first-plain": replace(NOTE, plain=True),
    "update-acknowledged": replace(NOTE, kind="update", group=ACKNOWLEDGED),
    "update-snoozed": replace(NOTE, kind="update", group=SNOOZED),
    "update-resolved": replace(NOTE, kind="update", group=RESOLVED),
    "update-plain": replace(NOTE, kind="update", plain=True),
    "repeat": replace(NOTE, kind="repeat", reason="severity rose to critical"),
    "escalation": replace(NOTE, kind="escalation", reason="nobody acknowledged for 15 minutes", mention="S0ONCALL"),
    "resolved": replace(NOTE, kind="resolved", group=RESOLVED, mention="channel"),
    "test": replace(NOTE, kind="test"),
}
"""The notes whose composed form is kept in a file each, for every kind of channel."""


def shown(step: Step) -> dict[str, Any]:
    """A step as JSON can hold it, its body readable."""
    found: dict[str, Any] = msgspec.to_builtins(step, builtin_types=(bytes,))
    if isinstance(step, HttpCall):
        found["body"] = msgspec.json.decode(step.body)
    if isinstance(step, Mail):
        found["message"] = step.message.decode("ascii").split("\r\n")
    return found


def matches_golden(kind: str, name: str, steps: Iterable[Step]) -> None:
    """Asserts that the steps are those of `<kind>/<name>.json`; UPDATE_GOLDEN=1 writes the file instead."""
    found = msgspec.json.format(msgspec.json.encode([shown(step) for step in steps]), indent=1).decode() + "\n"
    path = Path(__file__).parent / kind / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == found, f"{path} differs; if that is meant, run with UPDATE_GOLDEN=1"


NASTY = (
    "<!channel>",
    "<!here|x> @here @channel",
    "<!subteam^S0123>",
    "<@U0123>",
    "<https://evil.example|Click>",
    "&<>" * 50_000,
    "<!channel>" * 10_000,
    "😀" * 30_000,
    "\r\nBcc: victim@example.com\r\n\r\nhello",
    "```\n" * 100,
    "*_~`>|" * 20,
    "\x00\x07\x1b[31m",
    "\ud800 lone \udfff",
    "\u202egnp.exe\u2028\u2029\u0085",
    " ",
    "\n\n\n",
    "x" * 100_000,
    ("word " * 20 + "\n") * 1000,
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
)

texts = st.one_of(st.text(max_size=200), st.sampled_from(NASTY), st.text(alphabet="&<>!@|`*\n\r ́😀a", max_size=900))
urls = st.one_of(
    st.none(),
    st.sampled_from(
        [
            "https://a.example/x?y=1&z=<b>|c",
            "javascript:alert(1)",
            "http://a.example/" + "p" * 1983,
            "https://a.example/" + "&" * 1980,
            "https://a.example/a b",
            "",
            "https://a.example/\r\nX: y",
        ]
    ),
    texts,
)
times = st.one_of(st.integers(0, 4_102_444_800_000), st.sampled_from([-(2**62), -1, 0, 2**62]))

groups = st.builds(
    GroupView,
    id=st.integers(0, 2**63 - 1).map(ids.show),
    title=texts,
    message=texts,
    severity=st.one_of(st.sampled_from(["info", "low", "medium", "high", "critical"]), texts),
    status=st.sampled_from(["open", "acknowledged", "snoozed", "resolved"]),
    source=texts,
    project=st.none() | texts,
    environment=st.none() | texts,
    count=st.integers(0, 2**53),
    episode=st.integers(1, 10_000),
    first_seen_ms=times,
    last_seen_ms=times,
    acknowledged_by=st.none() | texts,
    assignee=st.none() | texts,
    snoozed_until_ms=st.none() | times,
    resolved_ms=st.none() | times,
    resolved_by=st.none() | texts,
    resolution_note=st.none() | texts,
    users_affected=st.none() | st.integers(0, 2**53),
    velocity_per_hour=st.floats(),
    runbook_url=urls,
    link=urls,
    memory=st.none() | texts,
    tags=st.dictionaries(texts, texts, max_size=20),
)
notes = st.builds(
    Note,
    kind=st.sampled_from(["first", "update", "repeat", "escalation", "resolved", "test"]),
    delivery_id=st.integers(0, 2**63 - 1).map(ids.show),
    group=groups,
    now_ms=st.integers(0, 4_102_444_800_000),
    mention=st.sampled_from(["", "here", "channel", "S0ONCALL", "U0ANN W0BOB", "@oncall-team", "<!everyone>"]),
    reason=texts,
    page_url=urls.map(lambda url: url or ""),
    ack_url=urls.map(lambda url: url or ""),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Nowhere/Land", "", "../../etc/passwd"]),
    plain=st.booleans(),
)
