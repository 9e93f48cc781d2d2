"""The benchmark measures what it says: bodies, rules, what case (a) leaves out, and which runs are void."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import sqlite3
import tomllib
from pathlib import Path

import httpx
import pytest

from tests import bodies
from tests.bench import __main__ as bench
from tests.bench import first_posts, measure, requests
from tests.trials.box import Box


def made(folder: Path, count: int, issues: int) -> list[tuple[bytes, bytes]]:
    """(head, body) of each request of a file."""
    file = folder / "requests.bin"
    requests.write(file, count, issues)
    raw, at, found = file.read_bytes(), 0, []
    while at < len(raw):
        size = int(raw[at : at + 8])
        head, _, body = raw[at + 8 : at + 8 + size].partition(b"\r\n\r\n")
        found.append((head, body))
        at += 8 + size
    return found


def test_every_body_has_four_kilobytes_a_signature_and_an_id_of_its_own(tmp_path: Path) -> None:
    """Case (b) has an issue of its own for each, case (c) a thousand in all."""
    for issues, distinct in ((0, 1500), (1000, 1000)):
        every = made(tmp_path, 1500, issues)
        assert all(4000 <= len(body) <= 4200 for _, body in every)
        events = [json.loads(body)["data"]["event"] for _, body in every]
        assert len({event["event_id"] for event in events}) == 1500
        assert len({event["issue_id"] for event in events}) == distinct
        for head, body in every[::100]:
            signature = hmac.digest(bodies.SECRET.encode(), body, hashlib.sha256).hex()
            assert f"Sentry-Hook-Signature: {signature}".encode() in head


def test_there_are_twenty_rules_of_which_three_have_a_pattern() -> None:
    rules = tomllib.loads(first_posts.rules(("one",), "xoxb-1", "secret"))["rules"]
    assert len(rules) == 20
    assert sum('"operator": "regex"' in json.dumps(rule["when"]) for rule in rules) == 3
    assert {name for rule in rules for name in rule["channels"]} == {"one"}


def test_sixty_four_connections_and_five_rounds() -> None:
    assert "-c64" in measure.WRK
    assert list(bench.CASES) == ["a", "b", "c"]
    assert bench.CASES["a"][1] == "ready"
    assert bench.CASES["b"][1] == bench.CASES["c"][1] == "real"


@pytest.mark.parametrize(
    ("accepted", "stored", "void"), [(100, 100, False), (100, 164, False), (100, 99, True), (100, 165, True)]
)
def test_a_run_counts_only_if_what_was_accepted_is_stored(
    tmp_path: Path, accepted: int, stored: int, void: bool
) -> None:
    """Up to 64 answers may be under way when wrk stops counting."""
    connection = sqlite3.connect(tmp_path / "signalcraft.db")
    connection.execute("create table event (id integer primary key)")
    connection.executemany("insert into event (id) values (?)", [(n,) for n in range(stored + 7)])
    connection.commit()
    connection.close()
    figures = measure.Run(accepted=accepted)
    measure._check(figures, tmp_path, 7)
    assert bool(figures.void) is void
    assert figures.stored == stored


def test_refused_requests_make_a_run_void() -> None:
    said = "  50%    1.50ms\n  99%   12.00ms\n  900 requests in 5.00s, 1MB read\nRequests/sec:    180.00\n"
    figures = measure._read(said)
    assert (figures.rate, figures.p50_ms, figures.p99_ms, figures.accepted, figures.void) == (180.0, 1.5, 12.0, 900, "")
    refused = measure._read(said + "  Non-2xx or 3xx responses: 3\n")
    assert refused.accepted == 897
    assert refused.void


def test_the_table_shows_medians_and_ratios_to_the_first_case() -> None:
    """A void run is named, and counts for nothing."""
    runs = {
        "a": [measure.Run(rate=rate) for rate in (100.0, 200.0, 900.0)],
        "b": [measure.Run(rate=100.0, commits_per_event=0.25), measure.Run(rate=5.0, void="two were refused")],
        "c": [measure.Run(rate=50.0, p99_ms=12.5)],
    }
    was = first_posts.FirstPosts([500.0, 1000.0, 1200.0], 0, 0, 3)
    post = first_posts.FirstPosts([10.0, 20.0, 480.0], 0, 0, 3)
    text = bench.table(runs, was, post, 0.5, 84)
    cells = {
        line[2:5]: [c.strip() for c in line.split("|")] for line in text.splitlines() if re.match(r"\| \([abc]\)", line)
    }
    assert [cells[f"({case})"][3] for case in "abc"] == ["1.00", "0.50", "0.25"]
    assert cells["(a)"][2].startswith("200 ")
    assert cells["(b)"][8] == "0.250"
    assert cells["(c)"][5] == "12.5"
    assert "two were refused" in text
    assert "| 429 answers | 0 | 0 |" in text
    assert "| p50 | 1,000 ms | 20 ms | 98 % |" in text
    assert "| p99 | 1,200 ms | 480 ms | 60 % |" in text
    assert bench.exchanged(text, bench.told(was, post)) == text
    assert bench.exchanged(text, bench.told(post, was)).count("## ") == text.count("## ")


def test_on_record_telling_takes_less_than_half_of_what_it_took() -> None:
    """PERF-5: from a webhook's commit to the message, with and without what makes it fast."""
    page = bench.PAGE.read_text("utf-8")
    lower = {name: int(share) for name, share in re.findall(r"\| (p50|p99) \| .* ms \| .* ms \| (-?\d+) % \|", page)}
    assert lower.keys() == {"p50", "p99"}
    assert min(lower.values()) >= 50


@pytest.mark.whole
def test_in_case_a_the_writer_alone_is_left_out(tmp_path: Path) -> None:
    """Signature and body are checked as ever and 202 is answered; nothing is stored. The real server stores it, as that
    of before does."""
    slack_url = "http://127.0.0.1:9/api/"
    template = tmp_path / "template"
    first_posts.save_rules(tmp_path / "rules.toml", ("one",), "xoxb-1", "secret")
    Box(template, slack_url, tmp_path / "log").run("apply", str(tmp_path / "rules.toml"))
    (_, body), *_ = made(tmp_path, 1, 0)
    for mode, rows in (("ready", 0), ("real", 1), ("before", 1)):
        data = tmp_path / mode
        shutil.copytree(template, data)
        process, port = measure.start(data, slack_url, mode)
        try:
            hook = f"http://127.0.0.1:{port}/webhooks/sentry/{requests.TOKEN}"
            signed = bodies.signed(body, "event_alert")
            with httpx.Client(trust_env=False, timeout=30) as client:
                assert client.post(hook, content=body, headers=signed).status_code == 202
                forged = {**signed, "Sentry-Hook-Signature": "0" * 64}
                assert client.post(hook, content=body, headers=forged).status_code == 401
        finally:
            process.terminate()
            process.communicate(timeout=90)
        connection = sqlite3.connect(f"file:{data / 'signalcraft.db'}?mode=ro", uri=True)
        assert connection.execute("select count(*) from event").fetchone()[0] == rows
        connection.close()
