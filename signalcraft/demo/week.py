"""A noisy week replayed in a minute: what three projects' Sentry would have sent, in order, with their own ids.

cart-total       a TypeError that repeats all week; somebody takes it and mends it
tax-region, tax-rate, error-rate   a deploy gone wrong on Thursday: two new errors at once, an alert on the rate,
                 a rollback that resolves all three
chunk-load       a spike on Tuesday evening, then a trickle
gateway          flaps: resolved three times, back twice
database         fatal, on Saturday night
latency          a metric alert that goes from warning to critical and closes
staging-assert, staging-resize, dev-import   the noise of other environments
slow-list        a performance issue that somebody archives
legacy-import    from the legacy plugin, unsigned
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import cache

import msgspec
from msgspec import Struct

from signalcraft.demo import problems as shop
from signalcraft.demo import sentry_bodies as sentry
from signalcraft.demo.sentry_bodies import KIM, SAM, Json, Metric, Problem, Standing

SECONDS = 60.0
"""How long the week takes to replay, at speed 1."""
LEGACY = "legacy"
_DAY = SECONDS / 7


class Sending(Struct, frozen=True):
    """One webhook that falls due `at_offset_s` after the start. `resource` is Sentry's, or `LEGACY` for the plugin's
    unsigned ones; `problem` is the label it belongs to."""

    at_offset_s: float
    resource: str
    body: bytes
    problem: str


class _Script:
    """Writes the week down. The shape of the week depends on the seed alone, the ids on the start too."""

    def __init__(self, start_ms: int, seed: int) -> None:
        self.start_ms = start_ms
        self.out: list[Sending] = []
        self._dice = random.Random(seed)
        self._ids = random.Random(f"{seed}/{start_ms}")
        self._seen: dict[str, list[tuple[int, int]]] = {}  # label → when and by whom

    def at_ms(self, day: float) -> int:
        return self.start_ms + round(day * _DAY * 1000)

    def add(self, day: float, resource: str, body: Json, label: str) -> None:
        self.out.append(Sending(round(day * _DAY, 3), resource, sentry.dump(body), label))

    def event(self, p: Problem, day: float, users: int) -> Json:
        """A new event of a problem, by one of `users` people."""
        at_ms, user = self.at_ms(day), self._dice.randrange(users) + 1000
        self._seen.setdefault(p.label, []).append((at_ms, user))
        return sentry.event(p, f"{self._ids.getrandbits(128):032x}", at_ms, user)

    def standing(self, p: Problem, day: float) -> Standing:
        """How the issue stands on a day: the first event, which opened it, is counted too."""
        at_ms = self.at_ms(day)
        seen = [(at, user) for at, user in self._seen.get(p.label, ()) if at <= at_ms]
        first_ms = min((at for at, _ in seen), default=at_ms)
        return Standing(
            at_ms=at_ms, first_ms=first_ms, count=len(seen) + 1, users=len({user for _, user in seen} | {1})
        )

    def opened(self, p: Problem, day: float) -> None:
        self.add(day, "issue", sentry.issue_created(p, self.standing(p, day)), p.label)

    def alerts(self, p: Problem, first: float, last: float, times: int, users: int = 300) -> None:
        """The issue-alert rule fires so many times, unevenly, between two days."""
        for day in self._moments(first, last, times):
            self.add(day, "event_alert", sentry.event_alert(p, self.event(p, day, users)), p.label)

    def errors(self, p: Problem, first: float, last: float, times: int, users: int = 900) -> None:
        """Every single error is sent, most of them at the start."""
        for day in self._moments(first, last, times, early=True):
            self.add(day, "error", sentry.error_created(self.event(p, day, users)), p.label)

    def resolved(self, p: Problem, day: float, by: Json, release: str = "") -> None:
        self.add(day, "issue", sentry.issue_resolved(p, self.standing(p, day), by, release), p.label)

    def metric(self, m: Metric, *said: tuple[float, str, str]) -> None:
        for day, action, text in said:
            body = sentry.metric_alert(m, action, text, self.at_ms(day), self.at_ms(said[0][0]))
            self.add(day, "metric_alert", body, m.label)

    def _moments(self, first: float, last: float, times: int, *, early: bool = False) -> list[float]:
        parts = sorted(self._dice.random() for _ in range(times))
        return [first + (last - first) * (part * part if early else part) for part in parts]


def week(start_ms: int, seed: int = 7) -> Iterator[Sending]:
    """The week's webhooks in the order they fall due: about 900 over `SECONDS`. The times in the bodies are those of
    the replay, so that "first seen" on a screen is the moment it was seen."""
    s = _Script(start_ms, seed)
    _repeats(s)
    _noise(s)
    _spike(s)
    _deploy(s)
    _flapping(s)
    _outage(s)
    return iter(sorted(s.out, key=lambda sending: sending.at_offset_s))


def _repeats(s: _Script) -> None:
    s.opened(shop.CART_TOTAL, 0.05)
    s.alerts(shop.CART_TOTAL, 0.1, 5.6, 150)
    day = 2.3
    s.add(
        day,
        "issue",
        sentry.issue_assigned(shop.CART_TOTAL, s.standing(shop.CART_TOTAL, day), SAM, KIM),
        shop.CART_TOTAL.label,
    )
    words = "An empty cart has no total: carts left over from last year\u2019s sale."
    s.add(
        day + 0.2,
        "comment",
        sentry.comment(shop.CART_TOTAL, words, 9001, s.at_ms(day + 0.2), SAM),
        shop.CART_TOTAL.label,
    )
    s.resolved(shop.CART_TOTAL, 5.8, SAM, "checkout-api@2.14.2")


def _noise(s: _Script) -> None:
    s.opened(shop.STAGING_ASSERT, 0.2)
    s.alerts(shop.STAGING_ASSERT, 0.25, 6.8, 60, users=3)
    s.opened(shop.STAGING_RESIZE, 0.35)
    s.alerts(shop.STAGING_RESIZE, 0.4, 6.9, 80, users=5)
    s.alerts(shop.DEV_IMPORT, 0.5, 6.6, 40, users=2)
    for day in s._moments(0.6, 6.7, 25):
        s.add(
            day,
            LEGACY,
            sentry.legacy(shop.LEGACY_IMPORT, s.event(shop.LEGACY_IMPORT, day, 4)),
            shop.LEGACY_IMPORT.label,
        )
    s.opened(shop.SLOW_LIST, 1.8)
    for action in ("ignored", "archived"):
        standing = s.standing(shop.SLOW_LIST, 2.6)
        s.add(2.6, "issue", sentry.issue_archived(shop.SLOW_LIST, standing, action, KIM), shop.SLOW_LIST.label)


def _spike(s: _Script) -> None:
    s.opened(shop.CHUNK_LOAD, 1.6)
    s.alerts(shop.CHUNK_LOAD, 1.61, 1.95, 110, users=2000)
    s.alerts(shop.CHUNK_LOAD, 2.0, 4.5, 20, users=2000)


def _deploy(s: _Script) -> None:
    s.opened(shop.TAX_REGION, 3.4)
    s.errors(shop.TAX_REGION, 3.4, 3.9, 200)
    s.opened(shop.TAX_RATE, 3.42)
    s.errors(shop.TAX_RATE, 3.43, 3.9, 90)
    s.metric(
        shop.ERROR_RATE,
        (3.46, "critical", "412 events in the last minute\nFilter: level:error"),
        (4.1, "resolved", "0 events in the last minute\nFilter: level:error"),
    )
    words = "Rolled back to checkout-api@2.13.4: the tax table of 2.14.0 has no regions yet."
    s.add(3.95, "comment", sentry.comment(shop.TAX_REGION, words, 9002, s.at_ms(3.95), KIM), shop.TAX_REGION.label)
    s.resolved(shop.TAX_REGION, 4.15, KIM, "checkout-api@2.14.1")
    s.resolved(shop.TAX_RATE, 4.16, KIM, "checkout-api@2.14.1")


def _flapping(s: _Script) -> None:
    s.opened(shop.GATEWAY, 0.9)
    for day in (0.95, 2.9, 4.7):
        s.alerts(shop.GATEWAY, day, day + 0.35, 9)
        s.resolved(shop.GATEWAY, day + 0.6, sentry.SENTRY)
        if day < 4:
            back = day + 1.7
            s.add(
                back, "issue", sentry.issue_unresolved(shop.GATEWAY, s.standing(shop.GATEWAY, back)), shop.GATEWAY.label
            )
    s.metric(
        shop.LATENCY,
        (2.2, "warning", "p95(transaction.duration) of 1.9s in the last 5 minutes"),
        (2.5, "critical", "p95(transaction.duration) of 4.2s in the last 5 minutes"),
        (3.1, "resolved", "p95(transaction.duration) of 0.4s in the last 5 minutes"),
    )


def _outage(s: _Script) -> None:
    s.opened(shop.DATABASE, 5.9)
    s.alerts(shop.DATABASE, 5.91, 6.3, 45, users=600)
    s.add(
        6.0,
        "issue",
        sentry.issue_assigned(shop.DATABASE, s.standing(shop.DATABASE, 6.0), KIM, SAM),
        shop.DATABASE.label,
    )
    s.resolved(shop.DATABASE, 6.5, KIM)


# ------------------------------------------------------------------------------------------------------------ sending


def sign(secret: str, body: bytes, resource: str, now_s: int) -> dict[str, str]:
    """The headers of a webhook: Sentry's own, with the HMAC over these bytes; the legacy plugin has none of them."""
    if resource == LEGACY:
        return {"Content-Type": "application/json"}
    return {
        "Content-Type": "application/json",
        "Request-ID": uuid.uuid4().hex,
        "Sentry-Hook-Resource": resource,
        "Sentry-Hook-Timestamp": str(now_s),
        "Sentry-Hook-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }


class Replayed(Struct):
    """What became of a replay. `statuses` counts answers by HTTP status; 0: nothing came back (Sentry tries once)."""

    statuses: Counter[int] = msgspec.field(default_factory=Counter)

    @property
    def sent(self) -> int:
        """Every webhook that was tried."""
        return sum(self.statuses.values())

    @property
    def accepted(self) -> int:
        """Those that were answered 2xx."""
        return sum(n for status, n in self.statuses.items() if 200 <= status < 300)


Post = Callable[[dict[str, str], bytes], Awaitable[int]]


async def replay(
    post: Post, sendings: Iterable[Sending], *, secret: str, now_ms: Callable[[], int], speed: float = 1.0,
    stop: asyncio.Event | None = None, at_once: int = 32,
) -> Replayed:  # fmt: skip
    """Sends the webhooks as they fall due, `speed` times as fast, at most `at_once` under way, until all are answered
    or `stop` is set.

    `post(headers, body)` makes one request and returns its status, 0 where nothing came back. Webhooks of the legacy
    plugin have no Sentry-Hook-Resource header and belong to an integration that requires no signature.
    """
    loop = asyncio.get_running_loop()
    begun, done = loop.time(), Replayed()
    stop = stop or asyncio.Event()
    room = asyncio.Semaphore(at_once)

    async def one(sending: Sending) -> None:
        try:
            headers = sign(secret, sending.body, sending.resource, now_ms() // 1000)
            done.statuses[await post(headers, sending.body)] += 1
        finally:
            room.release()

    async with asyncio.TaskGroup() as tasks:
        for sending in sendings:
            wait_s = begun + sending.at_offset_s / speed - loop.time()
            if wait_s > 0:
                try:
                    await asyncio.wait_for(stop.wait(), wait_s)
                except TimeoutError:
                    pass  # it is due
            if stop.is_set():
                break
            await room.acquire()
            tasks.create_task(one(sending))
    return done


# ---------------------------------------------------------------------------------------------------------- many bodies

_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835  # odd: n * _SPREAD never repeats modulo 2**128
_EVENT, _ISSUE, _NUMBER = f"{0xEE:032x}", "7777777777777", "4242424242"
_BODY_LENGTH = 4096
_AT_MS = 1_767_225_600_123


@cache
def _templates(environment: str) -> tuple[tuple[bytes, ...], ...]:
    """Bodies of several problems, cut where the ids go; the cuts are marked by which value goes there."""
    found = []
    for each in (
        shop.CART_TOTAL,
        shop.TAX_REGION,
        shop.TAX_RATE,
        shop.GATEWAY,
        shop.DATABASE,
        shop.STAGING_ASSERT,
        shop.DEV_IMPORT,
        shop.LEGACY_IMPORT,
    ):
        p = msgspec.structs.replace(
            each, issue_id=int(_ISSUE), environment=environment, value=f"{each.value} (order {_NUMBER})"
        )
        told = sentry.event(p, _EVENT, _AT_MS, 1234)
        short = _BODY_LENGTH - len(sentry.dump(sentry.event_alert(p, told)))
        told["extra"]["log"] = ("order " * _BODY_LENGTH)[: max(short - 9, 0)]
        body = sentry.dump(sentry.event_alert(p, told))
        for mark, old in enumerate((_EVENT, _ISSUE, _NUMBER)):
            body = body.replace(old.encode(), b"\x00%d\x00" % mark)
        found.append(tuple(body.split(b"\x00")))
    return tuple(found)


def body_4k(n: int, *, issues: int | None = None, environment: str = "production", run: int = 0) -> bytes:
    """The n-th body of event_alert.triggered of about 4 KB; no event id repeats within a `run` (nor between runs).

    `issues`: the events belong to this many issues in turn; None: each is an issue of its own.
    """
    templates = _templates(environment)
    issue = n if issues is None else n % issues
    parts = list(templates[issue % len(templates)])
    values = (
        b"%032x" % ((n + run * 2**40 + 1) * _SPREAD % 2**128),
        b"%d" % (7_000_000_000_000 + run * 10**9 + issue),
        b"%d" % (1_000_000_000 + issue),
    )
    for at in range(1, len(parts), 2):
        parts[at] = values[int(parts[at])]
    return b"".join(parts)


def signed_4k(
    n: int, secret: str, now_s: int, *, issues: int | None = None, environment: str = "production", run: int = 0
) -> tuple[dict[str, str], bytes]:
    """`body_4k` with the headers that Sentry would send it with."""
    body = body_4k(n, issues=issues, environment=environment, run=run)
    return sign(secret, body, "event_alert", now_s), body
