"""The program under measure, in a process of its own: `python -m tests.bench.server DATA PORT SLACK_URL MODE`.

`real`: as it is. `ready` replaces the writer's submit alone by an answer that is there at once; everything else is the
same. `before`: without what makes telling fast: each write is a commit of its own, and what is owed is looked for once
a second instead of after each commit.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop

from signalcraft.config import load
from signalcraft.main import Program
from signalcraft.services.ingest import Receipt
from signalcraft.storage import db as writing


async def run(data_dir: str, port: str, slack_url: str, mode: str) -> None:
    overrides = {
        "data.dir": data_dir,
        "http.listen": f"127.0.0.1:{port}",
        "slack.api_url": slack_url,
        "limits.webhooks_per_minute": "0",
        "limits.api_per_minute": "0",
        "limits.global_per_15_minutes": "0",
        "log.level": "warning",
    }
    program = Program(load(overrides=overrides, environ={}).settings)
    await program.start()
    if mode == "ready":
        loop = asyncio.get_running_loop()
        answer = [Receipt(2**60, 2**60, False, False)]

        def submit(work: object) -> asyncio.Future[list[Receipt]]:
            future: asyncio.Future[list[Receipt]] = loop.create_future()
            future.set_result(answer)
            return future

        program.house.ingest.db.submit = submit  # type: ignore[method-assign,assignment]
    if mode == "before":
        writing.BATCH_MAX = 1
        program.house.db.on_commit = lambda: None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, program.ask_to_stop)
    await program.wait()
    await program.stop()
    db = program.house.db
    print(f"commits={db.commits} works={db.works}", flush=True)


if __name__ == "__main__":
    uvloop.run(run(*sys.argv[1:5]))
