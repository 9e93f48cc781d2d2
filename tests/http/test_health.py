"""/health: what each part says when something is wrong, and what to do; and /metrics, what Prometheus reads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as families

from tests.http.asking import Other, asking, key_of, problem
from tests.world import World

PROBES = ("/health", "/health/live", "/health/ready", "/health/startup", "/live", "/ready")
COMPONENTS = {
    "process", "database", "queue", "deliveries", "channels", "unrouted", "gaps", "configuration", "keys", "api_keys",
    "errors", "warnings", "rollups", "hold", "drill", "backup", "replica", "disk", "memory", "clock", "loop",
}  # fmt: skip


@pytest.fixture
def own(tmp_path: Path) -> Any:
    """A world that only this test breaks."""
    with World(tmp_path / "data") as it:
        yield it


@pytest.mark.parametrize("path", PROBES)
def test_a_box_that_is_well_says_so_without_a_key(world: World, path: str) -> None:
    answer = asking(world).get(path)
    assert answer.status_code == 200
    said = answer.json()
    assert said.keys() == {"status", "version", "components"}
    assert said["status"] == "ok"
    assert all(one.keys() == {"status", "detail"} for one in said["components"].values())


def test_every_part_is_there(world: World) -> None:
    said = world.get("/health")
    assert said["components"].keys() == COMPONENTS
    assert said["version"]


@pytest.mark.parametrize(("ready", "stopping"), [(False, False), (True, True)])
def test_before_it_is_ready_and_once_it_stops_it_is_503(
    world: World, monkeypatch: pytest.MonkeyPatch, ready: bool, stopping: bool
) -> None:
    monkeypatch.setattr(world.house, "ready", ready)
    monkeypatch.setattr(world.house, "stopping", stopping)
    for path in ("/health", "/health/ready", "/ready"):
        answer = world.api.get(path)
        assert answer.status_code == 503
        assert answer.json()["status"] == "failing"
    assert world.api.get("/health/live").status_code == 200
    assert world.api.get("/health/startup").status_code == (200 if ready else 503)


def test_a_writer_that_is_stuck_is_not_alive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.house.db, "busy_since_s", time.monotonic() - 60)
    for path in ("/health/live", "/live"):
        answer = world.api.get(path)
        assert answer.status_code == 503
        assert "stuck" in answer.json()["components"]["process"]["detail"]


def test_a_database_that_takes_no_write_is_failing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr(world.house.db, "write", full)
    for path in ("/health", "/health/ready"):
        answer = world.api.get(path)
        assert answer.status_code == 503
        assert answer.json()["status"] == "failing"
    assert "disk" in world.api.get("/health").json()["components"]["database"]["detail"]


def test_a_broken_channel_is_named_with_why_and_what_to_do(own: World) -> None:
    own.rule("environment == prod", "#oncall")
    own.channel("#spare")
    own.slack.archive("oncall")
    own.receives("sentry", "event_alert")
    own.after(seconds=10)
    answer = own.api.get("/health")
    assert answer.status_code == 200  # it is alive and ready; an orchestrator must not restart it for this
    said = answer.json()
    assert said["status"] == "failing"  # nobody took the message
    channels = said["components"]["channels"]
    assert channels["status"] == "failing"
    for word in ("#oncall", "archived", "/test", "1 messages wait"):
        assert word in channels["detail"], channels["detail"]
    assert "xoxb" not in answer.text
    # With another channel that stands in, somebody is told: degraded.
    assert own.api.patch("/api/workspace", json={"fallback_channel": "#spare"}).status_code == 200
    own.after(seconds=30)
    said = own.get("/health")
    assert said["components"]["channels"]["status"] == "degraded"
    assert "fallback" in said["components"]["channels"]["detail"]
    assert said["status"] == "degraded"


def test_what_is_owed_for_long_and_what_failed_is_said(own: World) -> None:
    own.rule(channel="#oncall")
    own.slack.outage(mode="503")
    own.receives("sentry", "event_alert")
    own.after(minutes=6)
    deliveries = own.get("/health")["components"]["deliveries"]
    assert deliveries["status"] == "degraded"
    assert "owed" in deliveries["detail"]
    own.slack.outage(False)
    own.after(minutes=3)
    assert own.get("/health")["components"]["deliveries"]["status"] == "ok"
    own.slack.fail(error="msg_too_long", times=10)
    own.receives("sentry", "event_alert", issue="2", title="given up")
    own.after(seconds=10)
    failed = own.get("/health")["components"]["deliveries"]
    assert failed["status"] == "degraded"
    assert "state=failed" in failed["detail"]


def test_a_time_without_the_program_is_a_gap(own: World) -> None:
    assert own.get("/health")["components"]["gaps"]["detail"].startswith("no alert was missed")
    own.killed()
    own.clock.at_ms += 90_000
    own.restarted()
    gaps = own.get("/health")["components"]["gaps"]
    assert gaps["status"] == "degraded"
    assert "down" in gaps["detail"]
    own.clock.at_ms += 3_600_000
    assert own.get("/health")["components"]["gaps"]["status"] == "ok"


def test_a_secret_that_does_not_open_is_a_problem_of_the_configuration(own: World) -> None:
    own.channel("#oncall")
    own._call(own.house.db.write(lambda tx: tx.run("update channel set secrets = x'00'")))
    own._call(own.house.db.read(own.house.registry.reload))
    configuration = own.get("/health")["components"]["configuration"]
    assert configuration["status"] == "degraded"
    assert "#oncall" in configuration["detail"]


def test_warnings_of_the_house_are_shown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.house, "warnings", ["two boxes share one Slack app"])
    warnings = world.get("/health")["components"]["warnings"]
    assert warnings == {"status": "degraded", "detail": "two boxes share one Slack app"}


# -- metrics ----------------------------------------------------------------------------------------------------------


def metrics(world: World, path: str = "/metrics") -> dict[tuple[str, ...], float]:
    """{(name, label values…): value}"""
    answer = world.api.get(path)
    assert answer.status_code == 200
    return {
        (sample.name, *(v for _, v in sorted(sample.labels.items()))): sample.value
        for family in families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_what_happened(own: World) -> None:
    own.rule(channel="#oncall")
    for _ in range(3):
        own.receives("sentry", "event_alert")
    own.sends("sentry", b"{}", {"Sentry-Hook-Resource": "event_alert"})
    own.after(seconds=10)
    own.get("/api/alert-groups")
    first = metrics(own)
    assert first["signalcraft_events_total", "accepted", "sentry"] == 3
    assert first["signalcraft_events_total", "refused_signature", "sentry"] == 1
    assert first["signalcraft_deliveries_total", "slack", "notification"] == 1
    assert first["signalcraft_alert_groups", "open"] == 1
    assert first["signalcraft_http_requests_total", "POST", "/webhooks", "202"] == 3
    assert first["signalcraft_deliveries_owed", "post"] == 0
    assert first["signalcraft_writer_commits_total",] > 0
    assert first["signalcraft_cache_misses_total", "feed"] >= 1
    assert first["signalcraft_channels_in_trouble", "broken"] == 0
    # Asked again, nothing is counted twice, and later minutes add up.
    assert metrics(own)["signalcraft_events_total", "accepted", "sentry"] == 3
    own.after(minutes=10)
    own.receives("sentry", "event_alert")
    assert metrics(own, "/metrics/prometheus")["signalcraft_events_total", "accepted", "sentry"] == 4


def test_scrapes_at_the_same_time_count_once() -> None:
    from signalcraft.http.metrics import Totals

    totals = Totals(0)
    rows = [(1, 0, "events", 5, 3), (1, 1, "events", 5, 4)]
    totals.add(rows, 10 * 60_000)
    totals.add(rows, 10 * 60_000)  # read before the first one was taken in
    assert totals.sums[1, "events", 5] == 7
    totals.add([(1, 9, "events", 5, 1)], 10 * 60_000)
    totals.add([(1, 9, "events", 5, 2), (1, 10, "events", 5, 1)], 10 * 60_000)
    assert totals.sums[1, "events", 5] == 10


def test_labels_never_hold_what_a_sender_wrote(world: World) -> None:
    world.rule(channel="#oncall")
    world.receives("sentry", "event_alert", title="title-of-the-sender", environment="env-of-the-sender")
    asking(world).get("/api/path-of-the-sender")
    asking(world).request("BREW", "/api/alert-groups")
    text = world.api.get("/metrics").text
    assert "of-the-sender" not in text
    assert "BREW" not in text
    assert 'route="unmatched"' in text


def test_openmetrics_is_spoken_to_whoever_asks(world: World) -> None:
    answer = world.api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert "signalcraft_info" in {family.name for family in openmetrics(answer.text)}


def test_metrics_need_a_key_and_show_one_workspace(world: World, other: Other) -> None:
    problem(asking(world).get("/metrics"), 401)
    problem(asking(world, key_of(world, "alerts:read")).get("/metrics"), 403)
    world.receives("sentry", "event_alert")
    theirs = other.api.get("/metrics").text
    assert "signalcraft_events_total{" not in theirs
    assert 'signalcraft_alert_groups{status="open"} 0.0' in theirs
