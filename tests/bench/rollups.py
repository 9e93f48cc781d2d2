"""How long the long-range numbers take to be counted anew: `python -m tests.bench.rollups [EVENTS]`.

Events, groups, acknowledgements, resolutions and messages are made by SQL, spread over 90 days; what is measured is
the child's own work, in this process: a rebuild, a fold with nothing new, and analyses of every range.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from signalcraft.services.care.rollups import RANGES
from signalcraft.storage import migrate, rolled
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.rollups.asking import Analyse, Fold, Rebuild
from signalcraft.storage.rollups.worker import Worker

DAYS = 90
NOW_MS = 1_772_323_200_000
INTEGRATIONS, PROJECTS, EACH = 40, 12, 50


def fill(tx: Tx, events: int) -> None:
    """That many events of a group for each fifty of them, in the order of their ids."""
    step = DAYS * 86_400_000 / events
    numbers = "with recursive e(n) as (select 1 union all select n + 1 from e where n < ?1)"
    at = f"{NOW_MS} - cast((?1 - n) * {step} as integer)"
    tx.run(
        "insert into event (id, workspace_id, integration_id, group_id, source, kind, status, severity, project, title,"
        f" message, tags, received_ms) {numbers}"
        f" select n * 4, 1, 1 + n % {INTEGRATIONS}, n / {EACH}, 'generic', 'alert', 'firing',"
        f" n % 5, 'project ' || (n % {PROJECTS}), 'a title', 'a message of some length', '{{}}', {at} from e",
        (events,),
    )
    tx.run(
        "insert into alert_group (id, workspace_id, integration_id, scope, identity, group_key, source, fingerprint,"
        " title, message, tags, severity, status, count, episode, first_seen_ms, last_seen_ms, retold_ms, updated_ms)"
        f" {numbers}"
        f" select n, 1, 1 + n % {INTEGRATIONS}, 's', n, 'k' || n, 'generic', 'f' || n, 't', 'm', '{{}}', n % 5, 'open',"
        f" {EACH}, 1, {NOW_MS} - cast((?1 - n) * {step * EACH} as integer), {NOW_MS}, 0, 0 from e",
        (events // EACH,),
    )
    for k, (verb, share) in enumerate((("told", 1), ("told", 1), ("acknowledged", 2), ("resolved", 1))):
        data = '{"delivery":"0dv8m2k4c0001"}' if verb == "told" else "{}"
        tx.run(
            "insert into journal select id * 8 + ?1, 1, first_seen_ms + 60000 * (1 + id % 240), id, ?2,"
            ' \'{"kind":"user","id":"\' || (id % 20) || \'","name":"x"}\', ?4 from alert_group where id % ?3 = 0',
            (k, verb, share, data),
        )


def main() -> int:
    """Prints the figures."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        db = Db(Path(folder) / "signalcraft.db")
        migrate.up(db)
        with db.direct() as tx:
            tx.run("insert into workspace (name, created_ms) values ('default', 0)")
            fill(tx, events)
        with db.direct() as tx:
            tx.run("update rolled_mark set minute = ?", (NOW_MS // 60_000,))
            assert rolled.mark(tx).minute
        worker = Worker(db.path)
        size = db.path.stat().st_size / 1e6
        _say(
            f"{events:,} events, {events // EACH:,} groups,"
            f" {events // EACH * 7 // 2:,} lines of the journal: {size:.0f} MB"
        )
        done = worker.answered(Rebuild(now_ms=NOW_MS)).progress
        assert done is not None
        assert done.events == events
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        _say(f"rebuilt in {done.seconds:.1f} s, {done.bytes / 1e6:.1f} MB, {peak:.0f} MB of memory at most")
        again = worker.answered(Fold(now_ms=NOW_MS)).progress
        assert again is not None
        _say(f"a fold with nothing new: {again.seconds * 1000:.0f} ms")
        for word, (step, span_ms) in RANGES.items():
            ask = Analyse(workspace_id=1, from_ms=NOW_MS - span_ms, until_ms=NOW_MS, step=step, by="integration")
            began = time.perf_counter()
            assert worker.answered(ask).analysis is not None
            _say(f"{word:>4}: {(time.perf_counter() - began) * 1000:.0f} ms")
        worker.feed.close()
        db.stop()
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
