"""A team's worst quarter of an hour: people, event streams and senders on a box that has seen a million events."""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from signalcraft.storage.db import Db, Tx
from tests import bodies
from tests.bench.overview import fill

TICK: Final = os.sysconf("SC_CLK_TCK")
CONFIG: Final = json.dumps({"level": "error"})
MOVES: Final = (
    # What a dashboard asks, and how often of a hundred times.
    (28, "/api/alert-groups?limit=50"),
    (12, "/api/alert-groups?status=open&severity=critical"),
    (8, "/api/alert-groups?q=payments"),
    (16, "/api/dashboard/overview?range=24h"),
    (6, "/api/dashboard/overview?range=7d"),
    (10, "/api/alert-groups/{group}"),
    (6, "/api/alert-groups/{group}/events"),
    (4, "/api/alert-groups/{group}/timeline"),
    (4, "/api/deliveries"),
    (3, "/api/integrations"),
    (3, "/api/channels"),
)
CONTENT: Final = "max-stale=3"
"""Each question is the first look at a page, and the dashboard says this with those (`web/src/api/client.ts`)."""


def aged(database: Path, integration_id: int, events: int, groups: int, now_ms: int, days: int = 30) -> None:
    """Puts that many events of the last days into a database that nobody serves, as ingest would have left them."""
    db = Db(database)
    try:
        db.grow_ids()
        with db.direct() as tx:
            fill(tx, now_ms, events, groups, days)
        each, first = events // groups, _newest(db)
        for part in range(0, groups, 500):
            with db.direct() as tx:
                tx.run(
                    "insert into event (id, workspace_id, integration_id, group_id, inbox_id, source, kind, status,"
                    " severity, project, environment, title, message, source_event_id, dedup_key, tags, received_ms)"
                    " with recursive k(n) as (select 0 union all select n + 1 from k where n < ?1 - 1)"
                    " select ?2 + g.at * ?1 + k.n, 1, ?3, g.id, null, 'sentry', 'alert', 'firing', g.severity,"
                    " 'project-' || (g.at % 17), 'prod', 'payments did not answer ' || g.at, 'in 30 s',"
                    " hex(randomblob(16)), 'k' || g.at, '{\"release\":\"1.2\"}',"
                    " ?4 + (g.at * ?1 + k.n) * ?5"
                    " from (select row_number() over (order by id) - 1 as at, id, severity from alert_group"
                    " order by id limit 500 offset ?6) g, k",
                    (each, first + part * each, integration_id, now_ms - days * 86_400_000,
                     days * 86_400_000 / events, part),
                )  # fmt: skip
    finally:
        db.stop()


def _newest(db: Db) -> int:
    def read(tx: Tx) -> int:
        return int(tx.value("select max((select max(id) from alert_group), (select max(id) from journal))")) + 1

    with db.direct() as tx:
        return read(tx)


@dataclass
class Seen:
    """What came of it. Times in ms."""

    took: list[float] = field(default_factory=list)
    by: dict[str, list[float]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    webhooks: list[float] = field(default_factory=list)
    behind: int = 0
    heard: int = 0
    cut: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    cpu: float = 0.0
    errors: list[str] = field(default_factory=list)

    def p(self, share: float, of: list[float] | None = None) -> float:
        """A percentile of all requests, or of some."""
        found = sorted(self.took if of is None else of)
        return found[min(int(len(found) * share), len(found) - 1)] if found else 0.0


class Load:
    """Asks one box for some time. `keys`: one for each person."""

    def __init__(self, url: str, keys: list[str], webhook: str, secret: str, groups: list[str], pid: int) -> None:
        self.url, self.keys, self.groups, self.pid = url, keys, groups, pid
        self.webhook, self.secret = webhook, secret
        self.seen = Seen()

    async def run(self, seconds: float, *, requests_per_minute: int, streams: int, webhooks_per_minute: int) -> Seen:
        """Everything at once, evenly over the time."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False) as client:
            listening = [asyncio.create_task(self._listen(n)) for n in range(streams)]
            await asyncio.sleep(min(5, seconds / 5))
            before, began = ticks(self.pid), time.monotonic()
            end = began + seconds
            people = [
                asyncio.create_task(self._person(client, n, end, 60 * len(self.keys) / requests_per_minute))
                for n in range(len(self.keys))
            ]
            others = [
                asyncio.create_task(self._senders(client, end, 60 / webhooks_per_minute)),
                asyncio.create_task(self._watch(end, began)),
            ]
            await asyncio.gather(*people, *others)
            self.seen.cpu = (ticks(self.pid) - before) / TICK / (time.monotonic() - began)
            for one in listening:
                one.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
        return self.seen

    async def _listen(self, number: int) -> None:
        # Sockets of its own: a pool of five hundred busy connections is slow to choose from.
        await asyncio.sleep(number * 0.005)
        where = httpx.URL(self.url)
        writer: asyncio.StreamWriter | None = None
        try:
            reader, writer = await asyncio.open_connection(where.host, where.port)
            writer.write(
                f"GET /api/live HTTP/1.1\r\nHost: {where.netloc.decode()}\r\n"
                f"Authorization: Bearer {self.keys[number % len(self.keys)]}\r\n\r\n".encode()
            )
            status = await reader.readline()
            if b" 200 " not in status:
                self.seen.errors.append(f"a stream was answered {status!r}")
            while piece := await reader.read(65536):
                self.seen.heard += piece.count(b"event: group")
            self.seen.cut += 1
        except OSError as problem:
            self.seen.errors.append(f"a stream broke: {problem!r}")
        finally:
            if writer is not None:
                writer.close()

    async def _person(self, client: httpx.AsyncClient, number: int, end: float, pause: float) -> None:
        dice = random.Random(number)
        known: dict[str, str] = {}
        await asyncio.sleep(dice.random() * pause)
        while time.monotonic() < end:
            began = time.monotonic()
            kind = dice.choices([path for _, path in MOVES], [share for share, _ in MOVES])[0]
            path = kind.replace("{group}", dice.choice(self.groups))
            headers = {
                "authorization": f"Bearer {self.keys[number]}",
                "accept-encoding": "zstd, br, gzip",
                "cache-control": CONTENT,
            }
            if path in known:
                headers["if-none-match"] = known[path]
            try:
                answer = await client.get(path, headers=headers)
                took = (time.monotonic() - began) * 1000
                self.seen.took.append(took)
                self.seen.by.setdefault(kind, []).append(took)
                self.seen.statuses[answer.status_code] += 1
                self.seen.behind += "x-newer-in-ms" in answer.headers
                if "etag" in answer.headers:
                    known[path] = answer.headers["etag"]
            except httpx.HTTPError as problem:
                self.seen.errors.append(f"{path}: {problem!r}")
            await asyncio.sleep(max(0.0, began + pause * (0.5 + dice.random()) - time.monotonic()))

    async def _senders(self, client: httpx.AsyncClient, end: float, pause: float) -> None:
        number = 0
        while time.monotonic() < end:
            began, number = time.monotonic(), number + 1
            raw = bodies.body("event_alert", issue=f"77{number % 40:04}", title=f"Load {number % 40}", level="error")
            headers = bodies.signed(raw, "event_alert", self.secret, int(time.time()))
            answer = await client.post(self.webhook, content=raw, headers=headers)
            self.seen.webhooks.append((time.monotonic() - began) * 1000)
            self.seen.statuses[answer.status_code] += 1
            await asyncio.sleep(max(0.0, began + pause - time.monotonic()))

    async def _watch(self, end: float, began: float) -> None:
        while time.monotonic() < end:
            self.seen.memory.append((time.monotonic() - began, await asyncio.to_thread(resident_mb, self.pid)))
            await asyncio.sleep(5)


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found, left = [], [pid]
    while left:
        one = left.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                left += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def ticks(pid: int) -> int:
    """User and system ticks of a process and its children, those that ended too."""
    total = 0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(fields[at]) for at in ((11, 12, 13, 14) if one == pid else (11, 12)))
    return total


def resident_mb(pid: int) -> float:
    """What a process and its children hold in memory, shared pages counted by share (PSS), in MB."""
    total = 0
    for one in family(pid):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(text.split("Pss:")[1].split()[0])
    return total / 1024


def told(seen: Seen, figures: dict[str, Any]) -> str:
    """The lines of the trial's output."""
    lines = [f"{name:<28} {value}" for name, value in figures.items()]
    for kind, took in sorted(seen.by.items(), key=lambda one: -statistics.mean(one[1])):
        lines.append(f"  {kind:<42} n {len(took):>5}  p50 {seen.p(0.5, took):7.1f}  p95 {seen.p(0.95, took):7.1f} ms")
    return "\n".join(lines)
