"""docs/tutorial/first-alert.md, word for word: its files are written, its commands are run, its promises are kept."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from signalcraft.demo.slack import BOT_TOKEN, SlackStandIn, StandInThread
from tests.cli.conftest import Box, now_ms, wait_ready

PAGE = Path(__file__).parents[2] / "docs/tutorial/first-alert.md"


def blocks() -> list[tuple[str, str]]:
    """(info string, text) of each fenced block, in order."""
    return re.findall(r"^```(\S.*?)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_tutorial_works_word_for_word(box: Box) -> None:
    shims = box.root / "bin"
    shims.mkdir()
    (shims / "signalcraft").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m signalcraft "$@"\n')
    (shims / "signalcraft").chmod(0o700)
    desk = box.root / "empty directory"
    desk.mkdir()
    env = {k: v for k, v in box.env.items() if not k.startswith("SIGNALCRAFT_")}
    env["PATH"] = f"{shims}:{os.environ['PATH']}"
    env |= {"SLACK_BOT_TOKEN": BOT_TOKEN, "SENTRY_CLIENT_SECRET": "sentry-secret"}
    said = ""
    with StandInThread(SlackStandIn(now_ms, channels=["oncall"])) as slack:
        outside = {"SIGNALCRAFT_SLACK__API_URL": slack.it.base_url, "SIGNALCRAFT_OUTBOUND__ALLOW": "127.0.0.0/8"}
        for info, text in blocks():
            if info == "bash in the background":
                process = subprocess.Popen(["bash", "-c", f"exec {text}"], cwd=desk, env={**env, **outside})
                box.adopt(process)
                wait_ready("http://127.0.0.1:8437", process)
            elif info == "bash":
                done = subprocess.run(["bash", "-eu", "-c", text], cwd=desk, env=env, capture_output=True, text=True)
                assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
                said += done.stdout
            elif info.startswith("toml "):
                (desk / info.split()[1]).write_text(text)
        deadline = time.monotonic() + 30
        while len(slack.it.messages("oncall")) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        first, resolved = slack.it.messages("oncall")
    assert "Payments are down" in first.words
    assert resolved.thread_ts == first.ts
    assert "http://127.0.0.1:8437/webhooks/sentry/" in said
    (group,) = json.loads(said[said.index('{"items"') : said.rindex("}") + 1].splitlines()[0])["items"]
    assert (group["count"], group["title"], group["severity"]) == (3, "Payments are down", "critical")


def test_the_page_has_the_blocks_that_are_run() -> None:
    kinds = [info for info, _ in blocks()]
    assert kinds.count("bash") >= 5
    assert kinds.count("bash in the background") == 1
    assert kinds.count("toml alerts.toml") == 1
