"""kill -9 at random moments of a migration and of the way back: the old schema or the new one, never between.

A process of its own migrates a copy of an earlier release's database, grown so that copying, backing up, migrating and
returning take long enough to be hit. What is found after each kill is compared row by row with what was there.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from signalcraft.domain.ids import Mint
from signalcraft.storage import before, migrate, migrating
from signalcraft.storage.db import Db, Tx, connect
from tests.storage.schemas import draw

LEVEL = 7
"""The schema the rounds begin at: several migrations lie between it and this program's."""
PLAYED = ("up", "returned", "down")
"""up: a migration. returned: the program cannot use what came of it, and the backup is put back. down: the way back."""

_STAGES = ("begun", "done", "the ", "schema ", "what came")

PLAYER = """
import sys, time
from pathlib import Path
from signalcraft.storage import migrate, migrating, returning
from signalcraft.storage.db import Db

data_dir, what = Path(sys.argv[1]), sys.argv[2]
known = migrate.steps()
HEAVY = "create table heavy (id integer primary key, title text not null) strict;"
HEAVY += "\\ninsert into heavy select id, title || message from event;\\ncreate index heavy_title on heavy (title);"
migrate.steps = lambda: [*known, (9001, "heavy", HEAVY)]

def say(text):
    print(text.split(":")[0][:60], flush=True)

def now():
    return time.time_ns() // 1_000_000

def works(db):
    if what == "returned":
        raise ValueError("it cannot be used")

print("begun", flush=True)
if what == "down":
    returning.go_back(data_dir, returning.plan(data_dir, None), program="9.9.9", now_ms=now(), carry=True)
else:
    db = Db(data_dir / "signalcraft.db")
    try:
        way = migrating.Way(data_dir=data_dir, program="9.9.9", now=now, say=say, works=works, insist=True)
        migrating.bring_up(db, way)
    finally:
        db.stop()
print("done", flush=True)
"""


@dataclass
class Outcome:
    """What one trial saw."""

    rounds: int = 0
    played: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The outcome as a table."""
        played = ", ".join(f"{what} {n}" for what, n in sorted(self.played.items()))
        return [
            f"kills                        {self.rounds} ({played})",
            *(f"last heard before the kill   {n:4d}  {stage}" for stage, n in self.stages.most_common()),
            *(f"found afterwards             {n:4d}  {what}" for what, n in self.found.most_common()),
            f"between, lost or damaged     {len(self.wrong)}",
            *self.wrong,
        ]


def grown(file: Path, events: int) -> None:
    """More events, so that things take time."""
    connection = connect(file)
    names = ", ".join(f'"{name}"' for name in draw.columns(Tx(connection, Mint()), "event"))
    wanted = names.replace('"id"', "o.top + e.value", 1).replace('"message"', "hex(randomblob(200))", 1)
    connection.execute(
        f"insert into event ({names}) select {wanted} from (select *, (select max(id) from event) as top from event"
        f" limit 1) o, (with recursive n(value) as (select 1 union all select value + 1 from n where value < {events})"
        " select value from n) e"
    ).fetchall()
    connection.close()


def content(file: Path) -> tuple[int, bool, dict[str, int], str]:
    """Schema, whether its shape is exactly that schema's, rows by table, and a digest of the events."""
    connection = connect(file)
    tx = Tx(connection, Mint())
    level = migrate.level(tx)
    there = {one for one in migrate.shape(tx) if not one[1].startswith("heavy")}
    whole = there == migrate.intended(min(level, migrate.newest()))
    whole &= (level == 9001) == bool(tx.value("select count(*) from sqlite_master where name = 'heavy_title'"))
    whole &= tx.value("pragma integrity_check") == "ok" and not tx.all("pragma foreign_key_check")
    rows = {table: tx.value(f'select count(*) from "{table}"') for table in draw.tables(tx)}
    digest = str(tx.one("select count(*), total(id % 1000003), max(id), sum(length(message)) from event"))
    connection.close()
    return level, whole, rows, digest


def run(folder: Path, rounds: int, *, events: int, seed: int = 1) -> Outcome:
    """Kills so often; each round begins with the same database, of the kind that the play wants."""
    dice = random.Random(seed)
    outcome = Outcome()
    began = _stages(folder, events)
    for number in range(rounds):
        what = PLAYED[number % len(PLAYED)]
        data_dir = folder / f"round-{number}"
        subprocess.run(["cp", "-r", str(began[what][0]), str(data_dir)], check=True)
        _round(data_dir, what, began[what][1], dice, outcome)
        subprocess.run(["rm", "-rf", str(data_dir)], check=True)
    return outcome


def _play(data_dir: Path, what: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PLAYER, str(data_dir), what], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _stages(folder: Path, events: int) -> dict[str, tuple[Path, float]]:
    """What each play begins with, and how long it takes when nobody kills it."""
    old = folder / "old"
    grown(draw.laid(LEVEL, old), events)
    new = folder / "new"
    subprocess.run(["cp", "-r", str(old), str(new)], check=True)
    took = {}
    for what, place in (("up", new), ("down", folder / "went-down"), ("returned", folder / "went-back")):
        if what != "up":
            subprocess.run(["cp", "-r", str(new if what == "down" else old), str(place)], check=True)
        process = _play(place, what)
        assert _heard(process) == "begun"
        began_s = time.monotonic()
        said = process.communicate(timeout=300)[0]
        took[what] = time.monotonic() - began_s
        assert ("done" in said.splitlines()) == (what != "returned"), said
    return {"up": (old, took["up"]), "returned": (old, took["returned"]), "down": (new, took["down"])}


def _round(data_dir: Path, what: str, took_s: float, dice: random.Random, outcome: Outcome) -> None:
    file = data_dir / "signalcraft.db"
    was = content(file)
    process = _play(data_dir, what)
    assert _heard(process) == "begun"
    time.sleep(dice.uniform(0, took_s))
    process.send_signal(signal.SIGKILL)
    said = ["begun", *process.communicate()[0].split("\n")]
    stage = re.sub(r"\d+", "N", [line for line in said if line.startswith(_STAGES)][-1])
    outcome.rounds += 1
    outcome.played[what] += 1
    outcome.stages[f"{what}: {stage}"] += 1
    level, whole, rows, digest = content(file)
    outcome.found[f"{what}: schema {level}"] += 1
    allowed = {LEVEL, 9001}
    place = f"round {outcome.rounds} ({what}, after {stage!r})"
    if level not in allowed or not whole or digest != was[3]:
        outcome.wrong.append(f"{place}: schema {level}, whole {whole}, events {digest} of {was[3]}")
    lost = {
        table for table, n in was[2].items() if rows.get(table, n) < n and table not in ("heavy", "maintenance_run")
    }
    if lost:
        outcome.wrong.append(f"{place}: rows were lost of {sorted(lost)}")
    _goes_on(data_dir, place, outcome)


def _goes_on(data_dir: Path, place: str, outcome: Outcome) -> None:
    """Whatever was found, the next start brings it up, and leaves nothing half done behind."""
    db = Db(data_dir / "signalcraft.db")
    try:
        if migrate.version(db) == LEVEL:
            way = migrating.Way(
                data_dir=data_dir, program="9.9.9", now=lambda: time.time_ns() // 1_000_000, insist=True
            )
            migrating.bring_up(db, way)
            if migrate.version(db) != migrate.newest():
                outcome.wrong.append(f"{place}: it does not come up")
        before.tidy(data_dir)
    finally:
        db.stop()
    there = data_dir / before.FOLDER
    known = {one.file for one in before.kept(data_dir)}
    left = {file.name for file in there.iterdir()} if there.is_dir() else set()
    odd = left - known - {f"{name}.json" for name in known} - {"failed.json"}
    if odd:
        outcome.wrong.append(f"{place}: left behind: {sorted(odd)}")
    for one in before.kept(data_dir):
        before.sound(data_dir, one)
