"""`signalcraft metrics`, `query` and `digest`, beside a running process and alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from signalcraft.cli import client, metrics
from signalcraft.cli.client import Answer
from tests.cli.conftest import Box


@pytest.mark.whole
def test_long_range_numbers_are_made_and_asked(either: Box) -> None:
    made = either.run("metrics", "rebuild").stdout
    assert made.startswith("0 events, 0 alert groups and ")
    assert " of minutes (14 days)" in either.run("metrics", "status").stdout
    assert json.loads(either.run("metrics", "status", "--json").stdout)["there"] is True
    asked = "select count(*) as n, 'a,b' as word from days where what = 'nothing'"
    assert either.run("query", asked, "--csv").stdout == 'n,word\n0,"a,b"\n'
    assert json.loads(either.run("query", asked, "--json").stdout)["rows"] == [[0, "a,b"]]
    shown = either.run("query", asked).stdout.splitlines()
    assert shown[0].split() == ["n", "word"]
    assert shown[-1].split() == ["0", "a,b"]
    assert either.refused("query", "drop table days", code=2) == "sql: only one SELECT can be asked at a time"
    refused = either.refused("query", "select * from read_csv('/etc/passwd')", code=2)
    assert "file system operations are disabled by configuration" in refused


@pytest.mark.whole
def test_the_digest_is_shown_and_needs_a_channel_to_be_told(either: Box) -> None:
    assert either.run("digest").stdout.splitlines()[0]
    assert set(json.loads(either.run("digest", "--json").stdout)) >= {"title", "text"}
    assert "no channel is chosen for the digest" in either.refused("digest", "--send", code=1)


@pytest.mark.whole
def test_before_they_are_made_and_where_there_are_more_rows_than_shown(box: Box) -> None:
    assert box.run("metrics", "status").stdout.startswith("There are no long-range numbers: it was not made yet.")
    box.run("metrics", "rebuild")
    done = box.run("query", "select * from range(9) t(n)", "--limit", "3")
    assert done.stdout.split() == ["n", "0", "1", "2"]
    assert "There are more rows than 3" in done.stderr


class Slowly:
    """Instead of the API: a rebuild that takes longer than one waits, of which days are gone."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __enter__(self) -> Slowly:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def post(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        counted = {"events": 5, "archived_events": 2, "groups": 3, "lines": 4, "seconds": 61.0, "filled_days": 2}
        return {"done": False, **counted}

    def request(self, method: str, path: str, *, faults: bool) -> Answer:
        self.asked.append(path)
        assert (method, faults) == ("GET", False)
        return Answer(503 if len(self.asked) < 4 else 200, b"")


def test_a_rebuild_that_takes_long_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slowly = Slowly()
    monkeypatch.setattr(client, "connect", lambda where, what: slowly)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    done = CliRunner().invoke(metrics.metrics, ["rebuild"])
    assert done.exit_code == 0, done.output
    assert slowly.asked == ["/api/metrics/rebuild", *["/api/metrics/rollups"] * 3]
    assert "it goes on when this is broken off" in done.output
    assert "7 events, 3 alert groups and 4 acts counted in 61.0 s." in done.output
    assert "Of 2 days the events are gone and in no archive" in done.output
