"""Every source over fixture files: our own beside this file, and, where they are, bodies that vendors really sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signalcraft.domain.event import Event, HttpInbound, bounded
from signalcraft.domain.reading import time_ms
from signalcraft.sources import SOURCES, Source
from tests.conftest import SHARED_WEBHOOKS

HERE = Path(__file__).parent
OURS = sorted(path for kind in SOURCES for path in (HERE / kind).glob("*.json"))
NOW_MS = 1_780_000_000_000


def inbound(body: bytes, headers: dict[str, str]) -> HttpInbound:
    """A POST as the HTTP floor hands it in: header names in lower case."""
    return HttpInbound("POST", "", "", {name.lower(): value for name, value in headers.items()}, body)


def plain(event: Event) -> dict[str, Any]:
    """An event in the words of expected.json; times in ms."""
    return {
        "kind": event.kind,
        "status": event.status,
        "severity": None if event.severity is None else event.severity.label,
        "title": event.title,
        "project": event.project,
        "environment": event.environment,
        "source_event_id": event.source_event_id,
        "dedup_key": event.dedup_key,
        "link": event.link,
        "occurred_at": event.occurred_ms,
    }


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_our_fixtures(path: Path) -> None:
    """A file holds headers, a body and every event to be read of it; what it does not name is not looked at."""
    case = json.loads(path.read_text())
    source = SOURCES[path.parent.name]
    # Sentry's own encoder: no spaces, nothing beyond ASCII.
    body = json.dumps(case["body"], separators=(",", ":")).encode()
    read = [bounded(event) for event in source.read(source.Config(), inbound(body, case["headers"]), NOW_MS)]
    assert len(read) == len(case["expected"])
    for event, expected in zip(read, case["expected"], strict=True):
        wanted = dict(expected)
        wanted["occurred_at"] = time_ms(wanted["occurred_at"])
        tags = wanted.pop("tags", {})
        said = plain(event) | {name: getattr(event, name) for name in wanted if name not in plain(event)}
        assert said == wanted
        assert {name: event.tags.get(name) for name in tags} == tags


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_delivery_again_is_the_same_statement(path: Path) -> None:
    """Request-ID, times in headers and the order of keys are of the delivery, not of what is said."""
    case = json.loads(path.read_text())
    source = SOURCES[path.parent.name]
    body = json.dumps(case["body"]).encode()
    again = {**case["headers"], "request-id": "0" * 32, "sentry-hook-timestamp": "1"}
    keys = [event.delivery_key for event in source.read(source.Config(), inbound(body, case["headers"]), NOW_MS)]
    assert keys == [event.delivery_key for event in source.read(source.Config(), inbound(body, again), NOW_MS + 9)]
    if source.KIND == "sentry":
        assert all(keys)
        if type(case["body"].get("data")) is dict:
            turned = json.dumps(_turned(case["body"])).encode()
            assert keys == [e.delivery_key for e in source.read(source.Config(), inbound(turned, again), NOW_MS)]


def _turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _turned(held) for name, held in reversed(value.items())}
    return value


def test_no_statement_of_our_fixtures_is_mistaken_for_another() -> None:
    """One occurrence may be told in several ways; everything else has a key of its own."""
    told: dict[str | None, set[tuple[Any, ...]]] = {}
    for path in OURS:
        case = json.loads(path.read_text())
        source = SOURCES[path.parent.name]
        for event in source.read(source.Config(), inbound(json.dumps(case["body"]).encode(), case["headers"]), NOW_MS):
            if event.delivery_key is not None:
                what = (event.kind, event.status, event.source_event_id, event.dedup_key)
                told.setdefault(event.delivery_key, set()).add(what)
    assert len(told) > 40
    assert [what for what in told.values() if len(what) > 1] == []


def test_every_sentry_resource_and_action_has_a_fixture() -> None:
    """The table of wire facts: what Sentry can send, and nothing of it unread."""
    sent = {
        "event_alert": ["triggered"],
        "activity_alert": ["triggered"],
        "metric_alert": ["open", "critical", "warning", "resolved"],
        "issue": ["created", "assigned", "resolved", "unresolved", "ignored", "archived"],
        "error": ["created"],
        "comment": ["created", "updated", "deleted"],
        "installation": ["created", "deleted"],
        "seer": ["root_cause_started", "root_cause_completed", "solution_started", "solution_completed",
                 "coding_started", "coding_completed", "pr_created", "iteration_started", "iteration_completed"],
        "preprod_artifact": ["size_analysis_completed", "build_distribution_completed"],
    }  # fmt: skip
    ours = set()
    for path in (HERE / "sentry").glob("*.json"):
        case = json.loads(path.read_text())
        ours.add((case["headers"].get("sentry-hook-resource"), case["body"].get("action")))
    assert {(resource, action) for resource, actions in sent.items() for action in actions} <= ours


def _captured() -> list[str]:
    if not SHARED_WEBHOOKS.is_dir():
        return []
    names = json.loads((SHARED_WEBHOOKS / "expected.json").read_text())
    return sorted(name for name in names if name.split("/")[0] in SOURCES)


CAPTURED = _captured()


def test_the_captured_payloads_are_there(shared_webhooks: Path) -> None:
    """All 27 of Sentry and 5 generic ones; skipped, and said so, where the folder is absent."""
    assert sum(name.startswith("sentry/") for name in CAPTURED) == 27
    assert sum(name.startswith("generic/") for name in CAPTURED) == 5


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_payloads(name: str, shared_webhooks: Path) -> None:
    """The bytes and headers that a vendor sent, verified and read as expected.json has it."""
    requests = json.loads((shared_webhooks / "requests.json").read_text())
    secret = requests["_secret_for_all_signatures"]
    source = SOURCES[name.split("/")[0]]
    request = inbound((shared_webhooks / name).read_bytes(), requests[name]["headers"])
    signed = "sentry-hook-signature" in request.headers
    config = source.Config(secret=secret, require_signature=signed)
    source.verify(config, request, NOW_MS)
    (event,) = map(bounded, source.read(config, request, NOW_MS))
    _check(name, event, json.loads((shared_webhooks / "expected.json").read_text())[name], source)


def _check(name: str, event: Event, expected: dict[str, Any], source: Source) -> None:
    assert expected["source"] == source.KIND
    said = plain(event)
    for field in said:
        accepted = [expected[field], *expected.get("accept", {}).get(field, [])]
        if field == "occurred_at":
            accepted = [None if at is None else time_ms(at) for at in accepted]
        assert "*" in accepted or said[field] in accepted, f"{name}: {field} is {said[field]!r}, not {accepted}"
