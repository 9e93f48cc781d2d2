"""Sentry beyond its fixture files: statements, levels, defaults, what is refused, and bodies nobody should send."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain.event import Event, HttpInbound, bounded
from signalcraft.domain.severity import Severity
from signalcraft.errors import Unreadable
from signalcraft.sources import sentry

FIXTURES = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "sentry").glob("*.json")}
NOW_MS = 1_780_000_000_000


def read(body: Any, resource: str | None = None, config: sentry.Config | None = None) -> Event:
    """The event of a body, as ingest would keep it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {} if resource is None else {"sentry-hook-resource": resource}
    (event,) = sentry.read(config or sentry.Config(), HttpInbound("POST", "", "", headers, raw), NOW_MS)
    return bounded(event)


def of(name: str, config: sentry.Config | None = None, **changes: Any) -> Event:
    """The event of a fixture. `changes` set values by their path, dots written as two underscores."""
    case = copy.deepcopy(FIXTURES[name])
    for path, value in changes.items():
        *way, last = path.split("__")
        holder = case["body"]
        for step in way:
            holder = holder[step]
        holder[last] = value
    return read(case["body"], case["headers"].get("sentry-hook-resource"), config)


def test_one_event_told_in_four_ways_is_one_occurrence() -> None:
    """Two alert rules, the error webhook and the legacy plugin tell of one event; another event is another."""
    told = [
        of("event_alert"),
        of("event_alert", data__triggered_rule="Another rule"),
        of("error_created"),
        of("legacy"),
        of("service_hook"),
    ]
    assert len({event.delivery_key for event in told}) == 1
    assert of("event_alert", data__event__event_id="f" * 32).delivery_key != told[0].delivery_key


def test_ignored_and_archived_of_one_moment_are_one_statement() -> None:
    one, other = of("issue_ignored"), of("issue_archived")
    assert one.delivery_key == other.delivery_key
    assert (one.action, other.action) == ("issue.ignored", "issue.archived")
    later = of("issue_archived", data__issue__lastSeen="2026-03-09T00:00:00Z")
    assert later.delivery_key != one.delivery_key


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data__issue__lastSeen", "2026-03-02T10:00:00Z"),
        ("data__issue__count", "18"),
        ("data__issue__status", "unresolved"),
        ("data__issue__substatus", "ongoing"),
        ("data__issue__statusDetails", {"inNextRelease": True}),
        ("data__issue__id", "7199"),
        ("data__resolution_type", "in_release"),
        ("actor", {"type": "user", "id": 42, "name": "Another engineer"}),
        ("action", "unresolved"),
    ],
)
def test_another_state_of_an_issue_is_another_statement(path: str, value: Any) -> None:
    assert of("issue_resolved", **{path: value}).delivery_key != of("issue_resolved").delivery_key


def test_what_is_no_state_of_an_issue_makes_no_other_statement() -> None:
    """A retry serialises the issue anew: what people did around it meanwhile does not count."""
    again = of("issue_resolved", data__issue__numComments=3, data__issue__hasSeen=True, data__issue__userCount=9)
    assert again.delivery_key == of("issue_resolved").delivery_key


def test_assignments_to_different_people_are_different_statements() -> None:
    assert of("issue_assigned_user").delivery_key != of("issue_assigned_team").delivery_key


def test_metric_alert_statements() -> None:
    """Each notification of an incident is one statement; incidents and issues of one number are two problems."""
    assert of("metric_alert_critical").delivery_key != of("metric_alert_warning").delivery_key
    other = of("metric_alert_critical", data__description_text="977 events in the last 5 minutes")
    assert other.delivery_key != of("metric_alert_critical").delivery_key
    assert of("metric_alert_critical").fingerprint == of("metric_alert_resolved").fingerprint == "metric_alert:55012"
    same_number = of("issue_created", data__issue__id="55012")
    assert same_number.dedup_key == of("metric_alert_critical").dedup_key
    assert same_number.fingerprint is None


def test_comment_statements() -> None:
    assert of("comment_created").delivery_key != of("comment_updated").delivery_key
    assert of("comment_updated", data__comment="x").delivery_key != of("comment_updated").delivery_key


def test_without_any_id_the_bytes_are_the_statement() -> None:
    one = of("event_alert", data__event__event_id=None)
    assert one.delivery_key == of("event_alert", data__event__event_id=None).delivery_key
    assert one.delivery_key != of("event_alert", data__event__event_id=None, data__triggered_rule="x").delivery_key
    assert one.source_event_id == "7100"
    assert of("issue_created", data__issue__id=None).delivery_key is not None


def test_a_resolve_finds_what_fired() -> None:
    """The issue's id is the identity in every shape that tells of it."""
    firing = ("event_alert", "event_alert_2020", "error_created", "legacy", "issue_created", "service_hook")
    assert {of(name).dedup_key for name in (*firing, "issue_resolved", "issue_archived")} == {"7100"}
    assert {of(name).project for name in (*firing, "issue_resolved")} == {"checkout"}
    assert of("comment_created").dedup_key == of("seer_pr_created").dedup_key == "7100"


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("fatal", Severity.CRITICAL), ("error", Severity.HIGH), ("warning", Severity.MEDIUM), ("info", Severity.INFO),
        ("debug", Severity.INFO), ("Error", Severity.HIGH), (" fatal ", Severity.CRITICAL), ("sample", None),
        ("bad", None), (40, Severity.HIGH), ("50", Severity.CRITICAL), (41, None), (True, None), ([], Severity.HIGH),
    ],
)  # fmt: skip
def test_levels(level: Any, severity: Severity | None) -> None:
    """A level that is no text is not there, and then the tag `level` speaks (here: error)."""
    wanted = Severity.HIGH if level is True else severity
    assert of("event_alert", data__event__level=level).severity == wanted
    assert of("error_created", data__error__level=level).severity == wanted


def test_a_default_severity_is_for_alerts_that_have_none() -> None:
    config = sentry.Config(default_severity="low")
    assert of("event_alert", config).severity is Severity.HIGH
    assert of("metric_alert_open_plain", config).severity is Severity.LOW
    assert of("comment_created", config).severity is None
    assert of("seer_pr_created", config).severity is None


def test_a_grant_code_goes_nowhere() -> None:
    event = of("installation_created")
    assert "GRANT-CODE" not in repr(event)
    assert "GRANT-CODE" in json.dumps(FIXTURES["installation_created"]["body"])


@pytest.mark.parametrize(
    ("body", "resource"),
    [
        (b"", None), (b"null", None), (b"[]", None), (b"7", None), (b'"text"', None), (b"[{}]", "issue"), (b"{}", None),
        (b"{}", "issue"), (b"{}", "event_alert"), (b"[]", "event_alert"), (b"{}", "metric_alert"),
        (b'{"action": "created", "data": {}}', "issue"),
        (b'{"action": "created", "data": {"issue": []}}', "issue"),
        (b'{"action": "deleted", "data": {"issue": {"id": "1"}}}', "issue"),
        (b'{"action": "triggered", "data": {"event": null}}', "event_alert"),
        (b'{"action": "triggered", "data": {"event": "x"}}', "event_alert"),
        (b'{"action": "triggered", "data": []}', "event_alert"),
        (b'{"action": "fired", "data": {"event": {}}}', "event_alert"),
        (b'{"action": "updated", "data": {"error": {}}}', "error"),
        (b'{"action": "melting", "data": {"metric_alert": {}}}', "metric_alert"),
        (b'{"action": "critical", "data": {"metric_alert": 5}}', "metric_alert"),
        (b'{"action": "triggered", "data": {}}', "activity_alert"),
        (b'{"action": "created", "data": {"issue": {"id": "1"}}}', "weather"),
        (b'{"action": "created", "data": {"issue": {"id": "1"}}}', "external_issue"),
        (b'{"action": "weather.changed", "data": {}}', None),
        (b'{"action": "created", "data": {"weather": {}}}', None),
        (b'{"event": []}', None), (b'{"url": "https://x.example/"}', None),
        (b"\xff\xfe", "issue"), (b'{"a": NaN}', "issue"), (b'{"data":' * 50_000, "event_alert"),
        (b'{"data":' * 50_000, "issue"),
    ],
)  # fmt: skip
def test_what_is_quarantined(body: bytes, resource: str | None) -> None:
    with pytest.raises(Unreadable):
        read(body, resource)


@pytest.mark.parametrize("resource", ["seer", "activity_alert", "preprod_artifact", "comment", "installation"])
def test_new_actions_of_what_only_records_are_recorded(resource: str) -> None:
    event = read({"action": "never_seen_before", "data": {"issue": {"id": 1}}}, resource)
    assert event.kind in ("activity", "comment", "lifecycle")
    assert event.action == f"{resource}.never_seen_before"
    assert event.delivery_key


def test_nesting_at_the_very_limit_is_read_or_quarantined() -> None:
    """The last levels that can still be decoded are more than can be put in order for a statement's key."""

    def deepest_readable(low: int, high: int) -> int:
        while low < high:
            middle = (low + high + 1) // 2
            try:
                read(nested(middle), "seer")
                low = middle
            except Unreadable:
                high = middle - 1
        return low

    def nested(levels: int) -> bytes:
        return b'{"action":"x","data":{"run_id":1,"z":' + b"[" * levels + b"]" * levels + b"}}"

    limit = deepest_readable(10, 200_000)
    assert limit > 100
    for levels in range(limit - 20, limit + 20):
        for resource in ("seer", "metric_alert", "issue"):
            _survives(nested(levels), resource)


def test_doubled_keys_hold_their_last_value() -> None:
    event = read(b'{"action":"x","data":{"issue":{"id":"1"}},"action":"created","data":{"issue":{"id":"2"}}}', "issue")
    assert (event.dedup_key, event.status) == ("2", "firing")


def test_sizes_stay_within_what_is_stored() -> None:
    many = [[f"key{n}", "v" * 2_000] for n in range(5_000)]
    event = of(
        "event_alert", data__event__title="T" * 100_000, data__event__tags=many, data__event__message="m" * 10**6
    )
    assert len(event.title or "") == 300
    assert (event.title or "").endswith("…")
    assert len(event.message) == 8_000
    assert len(event.tags) <= 100
    assert event.tags["rule"] == "Page the on-call"  # ours come first, so that many others do not push them out


@pytest.mark.parametrize(
    ("at", "ms"),
    [("1970-01-01T00:00:01Z", 1000), ("2999-01-01T00:00:00Z", None), (1e300, None), (-1, None), ("", 1772443267119)],
)
def test_times_out_of_this_world(at: Any, ms: int | None) -> None:
    """What cannot be a time of an event is left out; the time it arrived is what counts anyway."""
    assert of("event_alert", data__event__datetime=at, data__event__timestamp=at or 1772443267.119,
              data__event__received=None).occurred_ms == ms  # fmt: skip


def _paths(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [way]
    for key, held in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += _paths(held, (*way, key))
    return found


def _put(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    if not way:
        return new
    value = copy.copy(value)
    value[way[0]] = _put(value[way[0]], way[1:], new)
    return value


ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(),
              st.sampled_from(["2026-03-02T09:21:07Z", "https://x.example/issues/5/", "error", "9" * 5_000, "\x00"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
HEADERS = st.sampled_from([None, "issue", "event_alert", "error", "metric_alert", "comment", "installation", "seer",
                           "activity_alert", "preprod_artifact", "size_analysis", "nonsense"])  # fmt: skip


def _survives(raw: bytes, resource: str | None) -> None:
    try:
        event = read(raw, resource, sentry.Config(default_severity="low"))
    except Unreadable:
        return
    assert isinstance(event, Event)
    for text in (event.title, event.project, event.environment, event.source_event_id, event.dedup_key, event.link,
                 event.delivery_key, event.actor, event.action, event.fingerprint):  # fmt: skip
        assert text is None or (isinstance(text, str) and text)
    assert isinstance(event.message, str)
    assert all(isinstance(k, str) and isinstance(v, str) for k, v in event.tags.items())
    assert event.occurred_ms is None or isinstance(event.occurred_ms, int)
    assert event.users is None or (isinstance(event.users, int) and event.users >= 0)
    assert event.severity is None or isinstance(event.severity, Severity)


@given(st.sampled_from(sorted(FIXTURES)), st.data(), HEADERS)
def test_any_value_anywhere_is_read_or_quarantined(name: str, data: st.DataObject, other: str | None) -> None:
    """Valid bodies with up to three values replaced by anything, under their own header and under a wrong one."""
    case = FIXTURES[name]
    body = case["body"]
    for _ in range(data.draw(st.integers(1, 3))):
        way = data.draw(st.sampled_from(_paths(body)))
        body = _put(body, way, data.draw(ANY_JSON))
    raw = json.dumps(body).encode()
    _survives(raw, case["headers"].get("sentry-hook-resource"))
    _survives(raw, other)


@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()), HEADERS)
def test_any_bytes_are_read_or_quarantined(raw: bytes, resource: str | None) -> None:
    _survives(raw, resource)


@given(st.sampled_from(sorted(FIXTURES)), st.data())
def test_cut_and_damaged_bodies_are_read_or_quarantined(name: str, data: st.DataObject) -> None:
    raw = json.dumps(FIXTURES[name]["body"], ensure_ascii=False).encode()
    at = data.draw(st.integers(0, len(raw)))
    damaged = raw[:at] + data.draw(st.binary(max_size=3)) + data.draw(st.sampled_from([b"", raw[at:]]))
    _survives(damaged, FIXTURES[name]["headers"].get("sentry-hook-resource"))
