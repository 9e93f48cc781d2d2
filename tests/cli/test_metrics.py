"""`signalcraft metrics`, `query` and `digest`, beside a running process and alone."""

from __future__ import annotations

import json

from tests.cli.conftest import Box


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


def test_the_digest_is_shown_and_needs_a_channel_to_be_told(either: Box) -> None:
    assert either.run("digest").stdout.splitlines()[0]
    assert set(json.loads(either.run("digest", "--json").stdout)) >= {"title", "text"}
    assert "no channel is chosen for the digest" in either.refused("digest", "--send", code=1)
