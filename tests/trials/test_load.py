"""`make trial-load`: a hundred people, five hundred open dashboards and their senders, beside a million events."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from signalcraft.domain import ids
from tests.e2e.place import Place, seed
from tests.trials.load import Load, aged, resident_mb, told

SECONDS = float(os.environ.get("LOAD_SECONDS", "600"))
EVENTS = int(os.environ.get("LOAD_EVENTS", "1000000"))
GROUPS = 10_000
PEOPLE, REQUESTS, STREAMS, WEBHOOKS = 100, 1000, 500, 100
SCOPES = ["alerts:read", "config:read"]
LIMIT_MB = 512
CGROUP = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Place]:
    """A box that has seen a million events, inside 512 MB where this machine allows to say so."""
    folder = tmp_path / "seeded"
    place = Place(tmp_path, folder, seed(folder), **{"http.connections_per_address_max": "0"})
    with place as world:
        world.integration("sentry")
        for n in range(5):
            world.integration("generic", name=f"sender {n}")
        world.channel("#oncall")
        world.rule("severity >= low", channel="#oncall")
        world.stopped()
        number = ids.parse(world.integrations["sentry"]["id"])
        aged(world.data_dir / "signalcraft.db", number, EVENTS, GROUPS, int(time.time() * 1000))
        world.restarted()
        yield world


def caged(pid: int) -> Path | None:
    """Puts a process under a limit of memory as systemd's MemoryMax would; None where that cannot be done here."""
    cage = CGROUP / f"signalcraft-load-{pid}"
    try:
        cage.mkdir()
        (cage / "memory.limit_in_bytes").write_text(str(LIMIT_MB << 20))
        (cage / "cgroup.procs").write_text(str(pid))
    except OSError:
        return None
    return cage


def keys(world: Place) -> list[str]:
    """One key for each person."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(
            lambda n: world.post("/api/api-keys", {"name": f"person {n}", "scopes": SCOPES})["key"],
            range(PEOPLE),
        ))  # fmt: skip


def metric(world: Place, name: str) -> dict[str, float]:
    """The samples of a metric, by their labels."""
    found = {}
    for line in world.api.get("/metrics").text.splitlines():
        if line.startswith(name) and line[len(name)] in " {":
            sample, value = line.rsplit(" ", 1)
            found[sample[len(name) :]] = float(value)
    return found


@pytest.mark.trial
def test_load_of_a_team_beside_a_million_events(box: Place) -> None:
    """p95 < 200 ms, under half of the box, memory steady and within 512 MB, no 5xx, more than 80 % from the cache."""
    assert box.box.process is not None
    pid, cores = box.box.process.pid, os.cpu_count() or 1
    cage = caged(pid)
    groups = [one["id"] for one in box.get("/api/alert-groups", limit=100)["items"]]
    path = httpx.URL(box.integrations["sentry"]["webhook_url"]).path
    load = Load(box.url, keys(box), path, box.integrations["sentry"]["secret"], groups, pid)
    size_mb = sum(p.stat().st_size for p in box.data_dir.glob("signalcraft.db*")) >> 20

    async def everything() -> None:
        at_once = asyncio.create_task(_care(box, SECONDS * 0.6))
        await load.run(SECONDS, requests_per_minute=REQUESTS, streams=STREAMS, webhooks_per_minute=WEBHOOKS)
        at_once.cancel()

    asyncio.run(everything())
    seen = load.seen
    settled = [mb for at, mb in seen.memory if SECONDS * 0.15 <= at <= SECONDS * 0.55]
    tenth = max(len(settled) // 5, 1)
    first, last = sum(settled[:tenth]) / tenth, sum(settled[-tenth:]) / tenth
    had, read = metric(box, "signalcraft_cache_hits_total"), metric(box, "signalcraft_cache_misses_total")
    hits, misses = sum(had.values()), sum(read.values())
    figures = {
        "events in the database": f"{EVENTS:,} ({size_mb} MB)",
        "seconds": f"{SECONDS:.0f}",
        "requests": f"{len(seen.took)} ({len(seen.took) / SECONDS * 60:.0f} a minute)",
        "p50 / p95 / p99": f"{seen.p(0.5):.1f} / {seen.p(0.95):.1f} / {seen.p(0.99):.1f} ms",
        "webhooks": f"{len(seen.webhooks)}, p95 {seen.p(0.95, seen.webhooks):.1f} ms",
        "event streams": f"{STREAMS}, {seen.heard} group events heard, {seen.cut} cut",
        "statuses": dict(sorted(seen.statuses.items())),
        "mean CPU of the box": f"{seen.cpu / cores * 100:.1f} % ({seen.cpu:.2f} of {cores} processors)",
        "memory of all its processes": f"{first:.0f} -> {last:.0f} MB before the care, at most "
        f"{max(mb for _, mb in seen.memory):.0f} MB with a backup, a drill and a purge at once",
        "limit of memory": f"{LIMIT_MB} MB, held by the kernel" if cage else "!! NOT HELD HERE: no control group",
        "from the cache": f"{hits:.0f} of {hits + misses:.0f} ({hits / max(hits + misses, 1) * 100:.1f} %), of all"
        f" requests {hits / max(len(seen.took), 1) * 100:.1f} %; {seen.behind} up to 3 s behind, and told so",
        "by kind": ", ".join(
            f"{kind.split(chr(34))[1]} {had[kind]:.0f} of {had[kind] + read[kind]:.0f}" for kind in had if read[kind]
        ),
        "errors": seen.errors[:5],
    }
    print(f"\n{told(seen, figures)}")
    assert not [status for status in seen.statuses if status >= 500]
    assert seen.errors == []
    assert seen.p(0.95) < 200
    assert seen.cpu / cores < 0.5
    assert last <= first * 1.05
    assert max(mb for _, mb in seen.memory) < LIMIT_MB
    assert hits / max(hits + misses, 1) > 0.8
    assert resident_mb(pid) > 0, "it still runs"


async def _care(box: Place, after: float) -> None:
    """A backup, a drill and a purge, all at once, as on a night that catches up."""
    await asyncio.sleep(after)
    verbs = (["backup"], ["drill"], ["retention", "run"])
    done = await asyncio.gather(*(asyncio.to_thread(box.box.run, *verb) for verb in verbs), return_exceptions=True)
    for verb, answer in zip(verbs, done, strict=True):
        print(f"{' '.join(verb)}: {'done' if isinstance(answer, str) else answer!r}")
