"""Real Sentry payloads over HTTP, with the headers they came with: read as expected, refused where they must be."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.world import World

FIELDS = ("kind", "project", "environment", "severity", "status", "title", "source_event_id", "dedup_key", "link")


def test_every_captured_sentry_payload_reads_as_expected_over_http(world: World, shared_webhooks: Path) -> None:
    requests = json.loads((shared_webhooks / "requests.json").read_text())
    expected = json.loads((shared_webhooks / "expected.json").read_text())
    secret = requests["_secret_for_all_signatures"]
    world.integration(name="signed", secret=secret)
    world.integration(name="legacy", secret="", require_signature=False)
    names = sorted(name for name in expected if name.startswith("sentry/"))
    assert len(names) == 27
    wrong, unsigned = [], 0
    for name in names:
        body, headers = (shared_webhooks / name).read_bytes(), requests[name]["headers"]
        if "Sentry-Hook-Signature" not in headers:
            unsigned += 1
            assert world.sends("signed", body, headers, settle=False).status_code == 401, name
        answer = world.sends("signed" if "Sentry-Hook-Signature" in headers else "legacy", body, headers, settle=False)
        assert answer.status_code == 202, f"{name}: {answer.text}"
        event = world.get(f"/api/events/{answer.json()['events'][0]['event_id']}")
        wrong += [f"{name}: {w}" for w in _differences(event, expected[name])]
    assert unsigned == 5
    assert wrong == []


def _differences(event: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    accept = wanted.get("accept", {})
    found = []
    for field in FIELDS:
        allowed = [wanted[field], *accept.get(field, [])]
        if event[field] not in allowed and "*" not in allowed:
            found.append(f"{field} is {event[field]!r}, not one of {allowed!r}")
    allowed = [wanted["occurred_at"], *accept.get("occurred_at", [])]
    if _moment(event["occurred_at"]) not in map(_moment, allowed):
        found.append(f"occurred_at is {event['occurred_at']!r}, not one of {allowed!r}")
    return found


def _moment(text: str | None) -> int | None:
    """Whole milliseconds: sources carry more digits than we keep."""
    return None if text is None else int(datetime.fromisoformat(text).timestamp() * 1000)
