"""Many alerts, fast: what the long rounds of the dashboard look at."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Final

import httpx

from tests import bodies
from tests.e2e.place import Place

LEVELS: Final = ("fatal", "error", "error", "warning", "warning", "info")
AT_ONCE: Final = 16


def crowd(world: Place, count: int, *, groups: int = 0, per_second: float = 0) -> float:
    """Sends `count` alerts of `groups` problems (of as many, where none is told); the seconds that it took.

    `per_second`: not faster than that. Raises where one is refused.
    """
    if "sentry" not in world.integrations:
        world.integration("sentry")
    took: list[float] = []
    # A loop of its own thread: Playwright's counts as running in this one.
    sending = threading.Thread(
        target=lambda: took.append(asyncio.run(_send(world, count, groups or count, per_second)))
    )
    sending.start()
    sending.join()
    assert took, "not every alert was taken"
    return took[0]


async def _send(world: Place, count: int, groups: int, per_second: float) -> float:
    path = httpx.URL(world.integrations["sentry"]["webhook_url"]).path
    secret = world.integrations["sentry"]["secret"]
    began = time.monotonic()
    numbers = iter(range(count))

    async def worker(client: httpx.AsyncClient) -> None:
        for number in numbers:
            if per_second:
                await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            which = number % groups
            raw = bodies.body(
                "event_alert", title=f"Error {which}: {WORDS[which % len(WORDS)]}", issue=f"9{which:06}",
                project=f"project-{which % 17}", environment="prod" if which % 3 else "staging",
                level=LEVELS[which % len(LEVELS)], tags={"release": f"1.{which % 40}", "server": f"web-{which % 9}"},
            )  # fmt: skip
            headers = bodies.signed(raw, "event_alert", secret, world.clock.at_ms // 1000)
            answer = await client.post(path, content=raw, headers=headers)
            assert answer.status_code == 202, answer.text

    async with httpx.AsyncClient(base_url=world.url, timeout=60, trust_env=False) as client:
        await asyncio.gather(*(worker(client) for _ in range(AT_ONCE)))
    return time.monotonic() - began


WORDS: Final = (
    "payments did not answer in 30 s", "duplicate key value in orders_pkey", "disk of db-1 is 91 % full",
    "cannot read properties of undefined", "connection pool is exhausted", "certificate expires in 3 days",
    "queue emails has 12,000 messages", "upstream answered 502",
)  # fmt: skip
