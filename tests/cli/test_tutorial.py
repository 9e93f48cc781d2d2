"""docs/tutorial/first-alert.md, word for word: its files are written, its commands are run, its promises are kept."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from signalcraft.demo.slack import BOT_TOKEN, SlackStandIn, StandInThread
from tests.cli.conftest import Box, now_ms, wait_ready
from tests.cli.tutorial import BESIDE, PRINTED, Done, blocks, differs, follow, machine
from tests.house.tree import ROOT

PAGE = ROOT / "docs/tutorial/first-alert.md"


def _lines(log: str) -> list[str]:
    """Without what only this test's own asking whether it is ready has caused."""
    return [line for line in log.splitlines() if '"route": "/ready"' not in line]


def followed(box: Box, command: str) -> list[Done]:
    """The whole page on an empty machine, with a stand-in for Slack; what every block printed."""
    desk, env = machine(box, command)
    env |= {"SLACK_BOT_TOKEN": BOT_TOKEN, "SENTRY_CLIENT_SECRET": "sentry-secret"}
    with StandInThread(SlackStandIn(now_ms, channels=["oncall"])) as slack:
        outside = {"SIGNALCRAFT_SLACK__API_URL": slack.it.base_url, "SIGNALCRAFT_OUTBOUND__ALLOW": "127.0.0.0/8"}

        def begin(text: str) -> Callable[[], str]:
            out = box.root / "serve.txt"
            with out.open("w") as log:
                process = subprocess.Popen(
                    ["bash", "-c", f"exec {text}"], cwd=desk, env={**env, **outside}, stdout=log, stderr=log
                )
            box.adopt(process)
            wait_ready("http://127.0.0.1:8437", process)

            def said() -> str:
                deadline = time.monotonic() + 30
                while len(lines := _lines(out.read_text("utf-8"))) < 3 and time.monotonic() < deadline:
                    time.sleep(0.05)
                return "\n".join(lines[:3]) + "\n"

            return said

        done = list(follow(PAGE, desk, env, begin))
        deadline = time.monotonic() + 30
        while len(slack.it.messages("oncall")) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        first, resolved = slack.it.messages("oncall")
    assert "Payments are down" in first.words
    assert resolved.thread_ts == first.ts
    return done


@pytest.mark.whole
def test_the_tutorial_works_word_for_word(box: Box) -> None:
    """And every command prints what the page says that it prints."""
    done = followed(box, f'"{sys.executable}" -m signalcraft')
    said = "".join(one.said for one in done)
    assert "http://127.0.0.1:8437/webhooks/sentry/" in said
    (group,) = json.loads(said[said.index('{"items"') : said.rindex("}") + 1].splitlines()[0])["items"]
    assert (group["count"], group["title"], group["severity"]) == (3, "Payments are down", "critical")
    assert sum(one.seconds for one in done) < 600, "ten minutes, it says"


def test_the_page_has_the_blocks_that_are_run() -> None:
    """Each command is followed by what it prints."""
    kinds = [info for info, _ in blocks(PAGE)]
    assert kinds.count("bash") >= 5
    assert kinds.count(BESIDE) == 1
    assert kinds.count("toml alerts.toml") == 1
    for info, after in pairwise(kinds):
        assert info not in ("bash", BESIDE) or after == PRINTED


def test_what_is_printed_otherwise_is_found() -> None:
    """The check itself."""
    assert differs("a … c\n⋮\nz\n", "a b c\nmore\nlines\nz\n") == ""
    assert differs("a … c\n", "a b d\n") == "a … c"
    assert differs("a\n", "a\nb\n") == "it ends later"
    assert differs("a\n⋮\n", "a\nb\n") == ""
    assert differs("a\nb\n", "a\n") == "b"
    assert differs("a\n\nb\n", "a\nc\n\nb\n") == "(a blank line)"
