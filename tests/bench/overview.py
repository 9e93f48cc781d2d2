"""How long an overview of each range takes beside five million events: `python -m tests.bench.overview`.

The counters are those that five million events of 90 days leave behind, made by SQL: 40 integrations that speak in
most minutes, 10 channels, 100,000 alert groups with their acknowledgements and resolutions. The events themselves are
never read by an overview.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from signalcraft.storage import rolled
from signalcraft.storage.db import Tx
from tests.world import World

EVENTS = 5_000_000
DAYS = 90
INTEGRATIONS, CHANNELS, GROUPS = 40, 10, 100_000
RANGES = ("24h", "7d", "30d", "90d")
STEPS = 96
"""Folds of one commit: a box does one in each, beside what it takes."""


def fill(tx: Tx, now_ms: int, events: int = EVENTS, groups: int = GROUPS, days: int = DAYS) -> None:
    """Counters and groups of that many events up to now. The groups' own counters come from the triggers."""
    minute = now_ms // 60_000
    integrations = [row[0] for row in tx.all("select id from integration order by id")]
    channels = [row[0] for row in tx.all("select id from channel order by id")]
    minutes = days * 1440
    each = max(1, round(events / minutes / len(integrations)))
    numbers = "with recursive m(at) as (select ? union all select at + 1 from m where at < ?)"
    for what, subjects, n in (("events", integrations, each), ("duplicates", integrations[:5], 1),
                              ("edits", channels, 2), ("notifications", channels, 1)):  # fmt: skip
        tx.run(
            f"insert or replace into minute_count {numbers} select 1, at, '{what}', value, {n} from json_each(?), m"
            " where (at * 7919 + value) % 10 < 9",
            (minute - minutes, minute - 1, json.dumps(subjects)),
        )
    step = days * 86_400_000 // groups
    first = tx.new_id(now_ms)
    tx.run(
        "insert into alert_group (id, workspace_id, integration_id, scope, identity, group_key, source, fingerprint,"
        " title, message, tags, severity, status, count, episode, first_seen_ms, last_seen_ms, retold_ms, updated_ms)"
        " with recursive g(n) as (select 1 union all select n + 1 from g where n < ?1)"
        " select ?2 + n, 1, json_extract(?3, '$[' || (n % ?4) || ']'), 's', n, 'k' || n, 'generic', 'f' || n, 't', 'm',"
        " '{}', n % 5, 'open', ?7 / ?1, 1, ?5 - ?6 * (?1 - n) - ?6, ?5 - ?6 * (?1 - n), ?5, ?5 from g",
        (groups, first, json.dumps(integrations), len(integrations), now_ms, step, events),
    )
    tx.run(
        "insert into journal select id + ?2, 1, first_seen_ms + 60000 + id % 3600000, id, 'acknowledged',"
        ' \'{"kind":"user","id":"1","name":"A"}\', \'{}\' from alert_group where id > ?1 and id % 3 = 0',
        (first, 2 * groups),
    )
    tx.run(
        "update alert_group set status = 'resolved', resolved_by = 'A', resolved_ms = last_seen_ms"
        " where id > ? and id % 50 > 0",
        (first,),
    )


def prepared(
    world: World,
    events: int = EVENTS,
    groups: int = GROUPS,
    days: int = DAYS,
    senders: int = INTEGRATIONS,
    channels: int = CHANNELS,
) -> dict[str, float]:
    """Fills a world; what it took in seconds."""
    house = world.house
    for n in range(senders):
        world.integration("generic", name=f"sender {n}")
    for n in range(channels):
        world.channel(f"#c{n}")
    took: dict[str, float] = {}
    began = time.perf_counter()
    now_ms = house.now()

    def fills(tx: Tx) -> None:
        # Nothing is rolled up yet: else each counter comes late, and adds to sums one by one.
        tx.run("update rolled_mark set minute = 0")
        fill(tx, now_ms, events, groups, days)

    world._call(house.db.write(fills), 900)
    took["filled_s"] = time.perf_counter() - began
    until = now_ms // 60_000
    began, longest = time.perf_counter(), 0.0
    done = False
    while not done:

        def work(tx: Tx) -> float:
            longest = 0.0
            for _ in range(STEPS):
                at = time.perf_counter()
                rolled.fold(tx, until)
                longest = max(longest, time.perf_counter() - at)
            return longest

        longest = max(longest, world._call(house.db.write(work), 300))
        done = world._call(house.db.read(lambda tx: bool(rolled.mark(tx).minute >= until)))
    took["folded_s"], took["longest_fold_ms"] = time.perf_counter() - began, longest * 1000
    return took


def measured(world: World, word: str, times: int = 60) -> dict[str, float]:
    """Milliseconds of a request, over loopback HTTP. Each is read anew: what is kept of it is forgotten before."""
    found = []
    for _ in range(times):
        world.house.cache.forget()
        began = time.perf_counter()
        world.get("/api/dashboard/overview", range=word)
        found.append((time.perf_counter() - began) * 1000)
    first, found = found[0], sorted(found)
    return {"first": first, "p50": statistics.median(found), "p95": found[int(len(found) * 0.95) - 1], "max": found[-1]}


def figures(folder: Path) -> dict[str, dict[str, float]]:
    """Makes the box, and prints and tells what each range takes."""
    found = {}
    with World(folder / "data") as world:
        print(json.dumps({name: round(v, 1) for name, v in prepared(world).items()}), flush=True)
        rows = world._call(world.house.db.read(lambda tx: tx.value("select count(*) from minute_count")))
        rolled_rows = world._call(world.house.db.read(lambda tx: tx.value("select count(*) from rolled_count")))
        print(f"{EVENTS:,} events, {GROUPS:,} groups, {rows:,} counters, {rolled_rows:,} rolled up", flush=True)
        for word in RANGES:
            found[word] = measured(world, word)
            said = " ".join(f"{name} {value:.1f}" for name, value in found[word].items())
            print(f"{word:>4}: {said} ms", flush=True)
    return found


def main() -> int:
    """1 when a range's p95 is not below 50 ms."""
    with tempfile.TemporaryDirectory() as folder:
        return int(any(one["p95"] >= 50 for one in figures(Path(folder)).values()))


if __name__ == "__main__":
    sys.exit(main())
