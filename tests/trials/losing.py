"""A box that is lost with its disk while 500 webhooks a second come in, and comes back out of its replica."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from signalcraft.config.replica import Replica
from signalcraft.demo.slack import SlackStandIn, StandInThread
from signalcraft.domain import ids
from signalcraft.main import system_now
from signalcraft.storage import hold, litestream
from signalcraft.storage.db import Db
from tests.trials.box import Box
from tests.trials.crash import CHANNELS, configuration
from tests.trials.senders import Ledger, post
from tests.world import BOT_TOKEN, SIGNING_SECRET

TOKEN = "tokenofthereplicatrial000000000000"
PER_SECOND = 500
CONNECTIONS = 16


@dataclass
class Round:
    """What was lost in one of them. `worth_s`: how long before the kill the first lost event was acknowledged."""

    acknowledged: int
    rate: float
    lost: int
    worth_s: float
    restore_s: float
    ready_s: float
    resolution_ms: int | None
    wrong: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """All of them. `twice`: first messages told more than once; `held`: messages sent while a box was held."""

    rounds: list[Round] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    held: int = 0

    @property
    def lines(self) -> list[str]:
        """A line a round, and what matters of all."""
        told = [
            f"round {n:2}: {r.acknowledged:5} acknowledged at {r.rate:3.0f}/s,"
            f" {r.lost:3} lost = {r.worth_s:.2f} s worth,"
            f" restored in {r.restore_s:.1f} s, ready {r.ready_s:.1f} s later,"
            f" --at to {'the end' if r.resolution_ms is None else f'{r.resolution_ms / 1000:.0f} s'}"
            for n, r in enumerate(self.rounds, 1)
        ]
        worths = sorted(r.worth_s for r in self.rounds)
        return [
            *told,
            f"lost at most {worths[-1]:.2f} s worth of acknowledged events, median {worths[len(worths) // 2]:.2f} s",
            f"told twice: {self.twice or 'nothing'}; sent while held: {self.held}",
        ]


class Trial:
    """One box after the other on one replica."""

    def __init__(self, folder: Path, replica: Replica, **settings: str) -> None:
        self.folder = folder
        self.replica = replica
        self.slack = SlackStandIn(
            system_now, signing_secret=SIGNING_SECRET, tokens=(BOT_TOKEN,), channels=CHANNELS, burst=0, per_minute={}
        )
        self._settings = settings
        self.outcome = Outcome()
        self.dice = random.Random(5)

    def run(self, rounds: int, seconds: float = 3.0) -> Outcome:
        """All the rounds."""
        with StandInThread(self.slack):
            self.box = Box(
                self.folder / "data", self.slack.base_url, self.folder / "serve.log",
                REPLICA__URL=self.replica.url, **self._settings,
            )  # fmt: skip
            (self.folder / "box.toml").write_text(configuration(TOKEN))
            self.box.run("apply", str(self.folder / "box.toml"))
            made = json.loads(self.box.run("apikey", "create", "--name", "t", "--scopes", "admin", "--json"))
            self.api = httpx.Client(
                base_url=self.box.url, headers={"Authorization": f"Bearer {made['key']}"}, trust_env=False, timeout=20
            )
            shutil.copy(self.folder / "data" / "master.key", self.folder / "master.key")
            self.box.start()
            try:
                for number in range(rounds):
                    self.outcome.rounds.append(self._round(number, seconds))
                assert self.box.stop() == 0
            finally:
                self.api.close()
                if self.box.process is not None and self.box.process.poll() is None:
                    self.box.kill()
        posts = Counter(
            (m.channel_name, m.history[0].text.split("Problem ")[1].split(" ")[0])
            for m in self.slack.everything()
            if m.thread_ts is None and "Problem " in m.history[0].text
        )
        self.outcome.twice = [f"{issue} in {channel}: {n}" for (channel, issue), n in posts.items() if n > 1]
        return self.outcome

    def _round(self, number: int, seconds: float) -> Round:
        self._in_step()
        ledger, at_s = Ledger(), dict[str, float]()
        issues = [str((1000 + number) * 10 + n) for n in range(3)]
        began_s = time.monotonic()
        killed_s, killed_ms = asyncio.run(self._load_and_lose(ledger, at_s, issues, seconds))
        rate = len(ledger.acknowledged) / (killed_s - began_s)
        shutil.rmtree(self.folder / "data")
        (self.folder / "data").mkdir(mode=0o700)
        shutil.copy(self.folder / "master.key", self.folder / "data")
        asked_ms = killed_ms - self.dice.randrange(500, 1500)
        at = self._restored_at(asked_ms)
        restored = litestream.restore(self.replica, self.folder / "data" / "signalcraft.db")
        lost, wrong = compare(self.folder / "data" / "signalcraft.db", ledger)
        if at.at_ms > asked_ms:
            wrong.append(f"--at {asked_ms} gave {at.at_ms}")
        self._hold(restored.at_ms)
        told = len(self.slack.everything())
        ready_s = self.box.start()
        asyncio.run(_some(self.box.port, issues))
        self.outcome.held += len(self.slack.everything()) - told
        self.api.post("/api/hold/resume", json={}).raise_for_status()
        return Round(
            acknowledged=len(ledger.acknowledged),
            rate=rate,
            lost=len(lost),
            worth_s=max((killed_s - at_s[event] for event in lost), default=0.0),
            restore_s=restored.took_s,
            ready_s=ready_s,
            resolution_ms=at.resolution_ms,
            wrong=wrong,
        )

    def _in_step(self) -> None:
        """Waits until the box that is about to be lost has a replica at all."""
        deadline = time.monotonic() + 60
        while "in step" not in (said := self.api.get("/health").json()["components"]["replica"]["detail"]):
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    async def _load_and_lose(
        self, ledger: Ledger, at_s: dict[str, float], issues: list[str], seconds: float
    ) -> tuple[float, int]:
        load = asyncio.gather(
            *(
                _steady(self.box.port, ledger, at_s, issues, random.Random(self.dice.random()))
                for _ in range(CONNECTIONS)
            )
        )
        await asyncio.sleep(seconds + self.dice.random())
        child = int((self.folder / "data" / "replica" / "lock").read_text())
        moment = time.monotonic(), system_now()
        os.kill(child, signal.SIGKILL)
        self.box.kill()
        await load
        return moment

    def _restored_at(self, asked_ms: int) -> litestream.Restored:
        target = self.folder / "at.db"
        try:
            return litestream.restore(self.replica, target, at_ms=asked_ms)
        finally:
            target.unlink(missing_ok=True)

    def _hold(self, copy_ms: int) -> None:
        db = Db(self.folder / "data" / "signalcraft.db")
        with db.direct() as tx:
            hold.put(tx, now_ms=system_now(), why="the trial", copy_ms=copy_ms)
        db.stop()


async def _steady(port: int, ledger: Ledger, at_s: dict[str, float], issues: list[str], dice: random.Random) -> None:
    """One sender at its share of the rate, until the box is gone."""
    gap_s = CONNECTIONS / PER_SECOND
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return
    try:
        next_s = time.monotonic() + dice.uniform(0, gap_s)
        while True:
            await asyncio.sleep(max(next_s - time.monotonic(), 0))
            next_s += gap_s
            event = f"{dice.getrandbits(128):032x}"
            await post(reader, writer, f"/webhooks/sentry/{TOKEN}", ledger, dice.choice(issues), event)
            at_s[event] = time.monotonic()
    except (OSError, EOFError, asyncio.IncompleteReadError, ValueError):
        pass
    finally:
        writer.close()


async def _some(port: int, issues: list[str]) -> None:
    """A second's alerts while the box is held: they are taken."""
    ledger = Ledger()
    task = asyncio.gather(
        *(_steady(port, ledger, {}, issues, random.Random(n)) for n in range(2)), return_exceptions=True
    )
    await asyncio.sleep(1.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ledger.acknowledged, "a held box takes alerts"


def compare(database: Path, ledger: Ledger) -> tuple[list[str], list[str]]:
    """The acknowledged events that are not in the copy, and what in the copy does not fit together."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)

    def rows(sql: str) -> list[Any]:
        return connection.execute(sql).fetchall()

    stored = {ids.show(number) for (number,) in rows("select id from event")}
    lost = [event for event, (number, _) in ledger.acknowledged.items() if number not in stored]
    wrong = [str(row) for row in rows("pragma integrity_check") if row != ("ok",)]
    wrong += [f"foreign key: {row}" for row in rows("pragma foreign_key_check")]
    wrong += [
        f"group {row}"
        for row in rows(
            "select g.id, g.count, count(e.id) from alert_group g left join event e on e.group_id = g.id"
            " group by g.id having g.count <> count(e.id)"
        )
    ]
    wrong += [
        f"nobody is owed the first message of {row}"
        for row in rows(
            "select id from alert_group where title like '%Problem %' and id not in"
            " (select group_id from delivery where kind = 'first')"
        )
    ]
    connection.close()
    return lost, wrong
