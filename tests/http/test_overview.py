"""/api/dashboard/overview: figures that can be counted by hand."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from signalcraft.domain.severity import Severity
from signalcraft.services import overview as service
from signalcraft.services.overview import FORMULAS
from signalcraft.storage.db import Tx
from tests.bench import overview as bench
from tests.http.asking import Other, problem
from tests.world import START_MS, World

FIGURES = (
    "events", "new_groups", "notifications", "noise_reduction_percent", "ack_rate_percent", "mtta_seconds",
    "mttr_seconds", "acknowledged", "resolved",
)  # fmt: skip
DOCS = Path(__file__).parents[2] / "docs"


def test_the_figures_are_those_of_what_happened(tmp_path_factory: pytest.TempPathFactory) -> None:
    with World(tmp_path_factory.mktemp("overview") / "data") as world:
        empty = world.get("/api/dashboard/overview")
        assert (empty["events"], empty["groups"], empty["notifications"]) == (0, 0, 0)
        for name in ("noise_reduction_percent", "ack_rate_percent", "mtta_seconds", "mttr_seconds"):
            assert empty[name] is None, name
        world.rule(channel="#oncall")
        # Two days ago: outside of a day, inside of a week.
        world.receives("sentry", "event_alert", issue="1", title="old", level="error")
        world.after(hours=48)
        one = world.receives("sentry", "event_alert", issue="2", title="loud", level="fatal")["group_id"]
        for _ in range(7):
            world.receives("sentry", "event_alert", issue="2", title="loud", level="fatal")
        two = world.receives("sentry", "event_alert", issue="3", title="quiet", level="warning")["group_id"]
        again = world.sends("sentry", b"{", {"Sentry-Hook-Resource": "event_alert"})
        assert again.status_code == 401
        world.after(minutes=2)
        world.act({"id": one}, "ack")
        world.after(minutes=2)
        world.act({"id": one}, "resolve")
        world.after(minutes=6)
        world.act({"id": two}, "resolve")
        day = world.get("/api/dashboard/overview", range="24h")
        assert (day["events"], day["groups"], day["new_groups"]) == (9, 2, 2)
        assert (day["duplicates"], day["quarantined"], day["refused"]) == (0, 0, 1)
        # A first message and a "resolved" for each of the two groups are heard, edits are not.
        heard = [t for t in world.told if t.at_ms > world.clock.at_ms - 86_400_000]
        assert day["notifications"] == len(heard) > 0
        assert day["noise_reduction_percent"] == round(100 * (9 - len(heard)) / 9, 1)
        assert (day["acknowledged"], day["ack_rate_percent"]) == (1, 50.0)
        assert day["mtta_seconds"] == 120.0
        assert (day["resolved"], day["mttr_seconds"]) == (2, (240 + 600) / 2)
        assert day["by_severity"] == [
            {"severity": "critical", "groups": 1, "open": 0},
            {"severity": "medium", "groups": 1, "open": 0},
        ]
        assert day["by_status"] == {"open": 1, "resolved": 2}
        assert [(s["integration"], s["events"]) for s in day["top_sources"]] == [("sentry", 9)]
        week = world.get("/api/dashboard/overview", range="7d")
        assert (week["events"], week["groups"], week["new_groups"]) == (10, 3, 3)
        # What closes by itself after days of silence says nothing of how long mending took.
        world.after(days=8)
        later = world.get("/api/dashboard/overview", range="30d")
        assert later["by_status"] == {"resolved": 3}
        assert (later["resolved"], later["mttr_seconds"]) == (2, 420.0)


@pytest.mark.parametrize("wrong", ["", "24", "h", "0h", "-1h", "91d", "1w", "1.5h", "24H", "٣h", "99999999999d"])
def test_a_wrong_range_is_named(world: World, wrong: str) -> None:
    problem(world.api.get("/api/dashboard/overview", params={"range": wrong}), 422, "invalid", "range")


def test_another_workspace_counts_its_own(world: World, other: Other) -> None:
    world.receives("sentry", "event_alert")
    assert world.get("/api/dashboard/overview")["events"] == 1
    theirs = other.api.get("/api/dashboard/overview").json()
    assert (theirs["events"], theirs["groups"], theirs["top_sources"]) == (0, 0, [])


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Three days: one group on the first, acknowledged; two on the third, one of them critical and nobody's."""
    with World(tmp_path_factory.mktemp("lived") / "data") as world:
        world.rule(channel="#oncall")
        one = world.receives("sentry", "event_alert", issue="1", title="old", level="error")["group_id"]
        world.after(minutes=5)
        world.act({"id": one}, "ack")
        world.after(hours=47, minutes=57)  # two minutes more than two days: the first minute is not at a border
        world.receives("sentry", "event_alert", issue="2", title="worst", level="fatal")
        for _ in range(3):
            world.receives("sentry", "event_alert", issue="2", title="worst", level="fatal")
        world.sends("generic", b'{"title": "quiet", "severity": "low"}', {"content-type": "application/json"})
        yield world


def test_the_stretch_before_is_measured_the_same_way(lived: World) -> None:
    lived.clock.at_ms += 0
    day, two = lived.get("/api/dashboard/overview", range="1d"), lived.get("/api/dashboard/overview", range="2d")
    # A day ago nothing happened, and counting had begun: zeros, and nothing where nothing could be measured.
    assert day["previous"]["events"] == day["previous"]["new_groups"] == 0
    assert day["previous"]["mtta_seconds"] is None
    assert (day["previous"]["until"], day["previous_why"]) == (day["since"], None)
    # Two days reach back to the beginning; what was before it nobody counted.
    assert two["previous"] is None
    assert "counted yet" in two["previous_why"]
    half = lived.get("/api/dashboard/overview", range="2895m")
    assert half["measured_since"] == "2026-03-02T09:00:00.000Z"
    before = lived.get("/api/dashboard/overview", range="1440m")
    assert before["measured_since"] is None


def test_the_stretch_before_has_its_own_figures(lived: World) -> None:
    at_ms = lived.clock.at_ms
    lived.clock.at_ms = START_MS + 36 * 3_600_000
    try:
        seen = lived.get("/api/dashboard/overview", range="18h")
        assert seen["previous"] is not None
        assert {name: seen["previous"][name] for name in FIGURES} == {
            "events": 1, "new_groups": 1, "notifications": 1, "noise_reduction_percent": 0.0,
            "ack_rate_percent": 100.0, "mtta_seconds": 300.0, "mttr_seconds": None, "acknowledged": 1, "resolved": 0,
        }  # fmt: skip
    finally:
        lived.clock.at_ms = at_ms


@pytest.mark.parametrize("word", ["24h", "7d", "30d", "90d", "90m"])
def test_the_series_adds_up_to_the_figures(lived: World, word: str) -> None:
    seen = lived.get("/api/dashboard/overview", range=word)
    assert len(seen["series"]) <= 100
    for name in ("events", "notifications", "new_groups"):
        assert sum(point[name] for point in seen["series"]) == seen[name], name
    assert seen["series"][0]["at"] == seen["since"]
    assert seen["series"][-1]["at"] <= seen["until"]


def test_open_criticals_are_told_with_their_groups(lived: World) -> None:
    seen = lived.get("/api/dashboard/overview")["open_criticals"]
    assert (seen["count"], [one["title"] for one in seen["items"]]) == (1, ["worst"])
    assert seen["items"][0] == lived.groups(severity="critical")[0]


def test_the_noisiest_source_is_the_one_that_repeats_itself(lived: World) -> None:
    sources = lived.get("/api/dashboard/overview", range="24h")["top_sources"]
    # Five events in a day; three of Sentry's four began nothing new.
    assert [(s["integration"], s["events"], s["new_groups"], s["share_percent"], s["score"]) for s in sources] == [
        ("sentry", 4, 1, 80.0, 60.0),
        ("generic", 1, 1, 20.0, 0.0),
    ]


def test_senders_and_channels_say_how_they_are(tmp_path_factory: pytest.TempPathFactory) -> None:
    with World(tmp_path_factory.mktemp("how") / "data") as world:
        world.rule(channel="#oncall")
        world.integration("generic")

        def sender(name: str = "sentry") -> dict[str, Any]:
            (one,) = [s for s in world.get("/api/dashboard/overview")["integrations"] if s["name"] == name]
            return dict(one)

        assert (sender("generic")["state"], sender("generic")["last_webhook_at"]) == ("waiting", None)
        for _ in range(30):
            world.receives("sentry", "event_alert", issue="1", title="steady", level="error")
            world.after(minutes=10)
        assert (sender()["state"], sender()["events"]) == ("ok", 30)
        assert sender()["last_webhook_at"] == "2026-03-02T13:50:00.000Z"
        # Ten minutes between two is usual: after more than twice that, and not before, it is silent.
        world.after(minutes=10)
        assert (sender()["state"], sender()["usual_silence_seconds"]) == ("ok", 600)
        world.after(minutes=2)
        assert (sender()["state"], sender()["silent_seconds"]) == ("silent", 22 * 60)
        world.receives("sentry", "event_alert", issue="1", title="steady", level="error")
        assert sender()["state"] == "ok"
        assert world.sends("sentry", b"{", {"Sentry-Hook-Resource": "event_alert"}).status_code == 401
        assert (sender()["state"], sender()["refused_signature"]) == ("refused", 1)
        assert world.sends("generic", b'{"nothing": 1}', {"content-type": "application/json"}).status_code == 422
        assert (sender("generic")["state"], sender("generic")["quarantined"]) == ("unreadable", 1)
        seen = world.get("/api/dashboard/overview")
        (channel,) = seen["channels"]
        assert (channel["name"], channel["state"], channel["why"]) == ("#oncall", "ok", None)
        assert channel["sent"] == seen["notifications"] > 0
        assert channel["last_sent_at"].startswith("2026-03-02T13:50:0")  # the last edit of its message
        world.slack.archive("oncall")
        world.receives("sentry", "event_alert", issue="2", title="more", level="fatal")
        seen = world.get("/api/dashboard/overview")
        (channel,) = seen["channels"]
        assert channel["state"] == "broken"
        assert "archived" in channel["why"]
        assert channel["owed"] == seen["owed"] >= 1


def test_every_formula_stands_in_the_docs_word_for_word(lived: World) -> None:
    told = lived.get("/api/dashboard/overview")["formulas"]
    assert told == FORMULAS
    page = (DOCS / "reference" / "figures.md").read_text("utf-8")
    for name, sentence in told.items():
        assert sentence in page, name
    assert {*FIGURES, "groups"} <= told.keys()


def test_every_range_is_offered_and_reads_some_thousand_rows_beside_many(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Sixteen days of counters and groups: each range equals a recount, and no range reads them one by one."""
    with World(tmp_path_factory.mktemp("much") / "data") as world:
        bench.prepared(world, events=100_000, groups=2_000, days=16, senders=3, channels=2)
        world.settled()  # groups that nobody spoke of for long are closed by the program
        now_ms = world.clock.at_ms
        for word, span_ms in service.RANGES.items():
            seen = world.get("/api/dashboard/overview", range=word)
            assert [(one["range"], one["available"]) for one in seen["ranges"]] == [
                ("24h", True), ("7d", True), ("30d", True), ("90d", True),
            ]  # fmt: skip
            border = 60_000 if span_ms <= service.FINE_MS else 3_600_000
            since = (now_ms - span_ms) // border * border
            want = world._call(world.house.db.read(partial(recount, since)))
            assert (seen["events"], seen["notifications"], seen["edits"]) == want[:3]
            assert (seen["new_groups"], seen["acknowledged"], seen["resolved"]) == want[3:]
            assert sum(point["events"] for point in seen["series"]) == seen["events"]
            assert {one["severity"]: (one["groups"], one["open"]) for one in seen["by_severity"]} == world._call(
                world.house.db.read(partial(severities, since))
            )


def severities(since_ms: int, tx: Tx) -> dict[str, tuple[int, int]]:
    rows = tx.all(
        "select severity, count(*), sum(status = 'open') from alert_group where last_seen_ms >= ? group by 1",
        (since_ms,),
    )
    return {Severity(severity).label: (n, still) for severity, n, still in rows}


def recount(since_ms: int, tx: Tx) -> tuple[int, ...]:
    words = [
        int(tx.value("select coalesce(sum(n), 0) from minute_count where minute >= ? and what = ?",
                     (since_ms // 60_000, word)))
        for word in ("events", "notifications", "edits")
    ]  # fmt: skip
    began = "first_seen_ms >= ?"
    acked = f"{began} and exists (select 1 from journal j where j.group_id = g.id and j.verb = 'acknowledged')"
    ended = "status = 'resolved' and resolved_by <> 'SignalCraft' and resolved_ms >= ?"
    return (
        *words,
        *(
            tx.value(f"select count(*) from alert_group g where {where}", (since_ms,))
            for where in (began, acked, ended)
        ),
    )
