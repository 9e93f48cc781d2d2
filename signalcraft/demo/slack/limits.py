"""Slack's rate limits, on the stand-in's clock (https://docs.slack.dev/apis/web-api/rate-limits)."""

from __future__ import annotations

import math
from collections import deque

PER_MINUTE: dict[str, int] = {
    "chat.update": 50,  # tier 3
    "conversations.history": 50,
    "conversations.replies": 50,
    "users.lookupByEmail": 50,
    "conversations.list": 20,  # tier 2
    "chat.postEphemeral": 100,  # tier 4
    "users.info": 100,
}
"""Calls of one token in any 60 seconds. chat.postMessage has a limit of its own, by channel."""


class Bucket:
    """`burst` at once, then one every `refill_ms`."""

    def __init__(self, burst: int, refill_ms: int) -> None:
        self._burst = burst
        self._refill_ms = refill_ms
        self._tokens = float(burst)
        self._at_ms: int | None = None

    def take(self, now_ms: int) -> int:
        """0 where one was left, else the whole seconds until there is one again (at least 1)."""
        if self._at_ms is not None and now_ms > self._at_ms:
            self._tokens = min(self._burst, self._tokens + (now_ms - self._at_ms) / self._refill_ms)
        self._at_ms = max(now_ms, self._at_ms or now_ms)
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        return max(1, math.ceil((1 - self._tokens) * self._refill_ms / 1000))


class Window:
    """At most `most` in any 60 seconds. A refused call does not count."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: deque[int] = deque()

    def take(self, now_ms: int) -> int:
        """0 where there was room, else the whole seconds until there is (at least 1)."""
        while self._times and self._times[0] <= now_ms - 60_000:
            self._times.popleft()
        if len(self._times) < self._most:
            self._times.append(now_ms)
            return 0
        return max(1, math.ceil((self._times[0] + 60_000 - now_ms) / 1000))


class Limits:
    """The limits of one workspace."""

    def __init__(self, burst: int, refill_ms: int, per_minute: dict[str, int]) -> None:
        self._burst = burst
        self._refill_ms = refill_ms
        self._per_minute = per_minute
        self._posts: dict[str, Bucket] = {}
        self._calls: dict[tuple[str, str], Window] = {}

    def post(self, channel: str, now_ms: int) -> int:
        """Seconds to wait before a post to this channel, 0: go."""
        if self._burst <= 0:
            return 0
        bucket = self._posts.get(channel)
        if bucket is None:
            bucket = self._posts[channel] = Bucket(self._burst, self._refill_ms)
        return bucket.take(now_ms)

    def call(self, method: str, token: str, now_ms: int) -> int:
        """Seconds to wait before this token's next call of the method, 0: go."""
        most = self._per_minute.get(method, 0)
        if most <= 0:
            return 0
        window = self._calls.get((method, token))
        if window is None:
            window = self._calls[method, token] = Window(most)
        return window.take(now_ms)
