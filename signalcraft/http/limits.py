"""Token buckets (so much at once, refilled evenly; in memory, bounded, on the injected clock), whose request it was,
and what was refused."""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

log = logging.getLogger(__name__)

BURST: Final = 300
"""Requests that a rested API key may make at once."""

HOPS_MAX: Final = 20
"""Hops of X-Forwarded-For that are looked at, from the right: more proxies stand before nobody."""
TOLD_EVERY_MS: Final = 60_000
_TOLD_MAX: Final = 1_000
_KEPT_MAX: Final = 20_000
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Spent(Struct, frozen=True):
    """What one request left. Seconds are rounded up."""

    within: bool
    limit: int
    remaining: int
    reset_s: int
    retry_after_s: int


class Buckets:
    """A bucket for each key (an API key, an address): `burst` tokens, refilled with `per_second`, both above 0."""

    def __init__(self, burst: int, per_second: float) -> None:
        self.burst = burst
        self.per_second = per_second
        self._left: dict[Hashable, tuple[float, int]] = {}

    def take(self, key: Hashable, now_ms: int) -> Spent:
        """Takes one token of this key's bucket, if there is one."""
        rate, burst = self.per_second, self.burst
        left, at_ms = self._left.get(key, (float(burst), now_ms))
        left = min(burst, left + max(now_ms - at_ms, 0) * rate / 1000)
        within = left >= 1
        if within:
            left -= 1
        if key not in self._left and len(self._left) >= _KEPT_MAX:
            self._shrink(now_ms)
        self._left[key] = (left, now_ms)
        wait_s = 0 if left >= 1 else -int(-(1 - left) / rate // 1)
        return Spent(within, burst, int(left), -int(-(burst - left) / rate // 1), max(wait_s, 1))

    def _shrink(self, now_ms: int) -> None:
        # Full buckets say nothing; if none is full, the longest unused go.
        rate, burst = self.per_second, self.burst
        kept = {k: v for k, v in self._left.items() if v[0] + (now_ms - v[1]) * rate / 1000 < burst}
        if len(kept) >= _KEPT_MAX:
            newest_first = sorted(kept.items(), key=lambda one: -one[1][1])
            kept = dict(newest_first[: _KEPT_MAX // 2])
        self._left = kept


class Exceeded:
    """What was refused by limits. `counts` by limit, for metrics; each subject is logged at most once a minute."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._told: dict[tuple[str, str], int] = {}
        self.saw: Callable[[str, str], None] = lambda limit, subject: None

    def refused(self, limit: str, subject: str, now_ms: int) -> None:
        """Counts one that nobody else counts: the security log (`saw`) is told too."""
        self.note(limit, subject, now_ms)
        self.saw(limit, subject)

    def note(self, limit: str, subject: str, now_ms: int, n: int = 1) -> None:
        """Counts `n`. `limit`: a word of ours ("api", "global", "connections"); `subject`: whose it was."""
        self.counts[limit] += n
        key = (limit, subject)
        if now_ms - self._told.get(key, -TOLD_EVERY_MS) < TOLD_EVERY_MS:
            return
        if len(self._told) >= _TOLD_MAX:
            self._told = {k: at for k, at in self._told.items() if now_ms - at < TOLD_EVERY_MS}
        if len(self._told) < _TOLD_MAX:  # a flood from everywhere: the counts tell its size
            self._told[key] = now_ms
            log.warning("a limit was exceeded", extra={"limit": limit, "by": subject, "so_far": self.counts[limit]})


class Addresses:
    """Whose address a request counts for: the peer's, or what a trusted proxy says of it."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted: list[_Network] = [ipaddress.ip_network(t, strict=False) for t in trusted]
        self._known: dict[str, bool] = {}

    def of(self, scope: Mapping[str, Any]) -> str:
        """The client's address; an IPv6 one as its /64, which is one subscriber. "" on a Unix socket."""
        client = scope.get("client")
        host = str(client[0]) if client else ""
        if self._trusted and self.trusts(host):
            host = self._forwarded(scope, host)
        return subscriber(host)

    def trusts(self, host: str) -> bool:
        """Whether a peer is one of our proxies."""
        if not self._trusted:
            return False
        known = self._known.get(host)
        if known is None:
            address = _plain(host)
            known = address is not None and any(address in network for network in self._trusted)
            if len(self._known) >= _KEPT_MAX:
                self._known.clear()
            self._known[host] = known
        return known

    def proto(self, scope: Mapping[str, Any]) -> str:
        """What our proxy says the client spoke: "https", "http"; "" where none says anything.

        The last word counts: what stands before it was there when the request reached the proxy.
        """
        client = scope.get("client")
        if not self._trusted or not client or not self.trusts(str(client[0])):
            return ""
        return _said(scope, b"x-forwarded-proto").rpartition(",")[2].strip().lower()

    def _forwarded(self, scope: Mapping[str, Any], peer: str) -> str:
        nearest = peer
        hops = [hop.strip() for hop in _said(scope, b"x-forwarded-for").split(",") if hop.strip()]
        for hop in reversed(hops[-HOPS_MAX:]):
            address = _hop(hop)
            if address is None:
                # "unknown", or rubbish: whoever it was, it came through the last hop that is ours.
                return nearest
            if not self.trusts(address):
                # The nearest hop that is not ours: what stands left of it anybody could have written.
                return address
            nearest = address
        return nearest


def _said(scope: Mapping[str, Any], name: bytes) -> str:
    """Every line of a header as one list."""
    return b",".join(v for k, v in scope["headers"] if k == name).decode("latin-1")


def _hop(text: str) -> str | None:
    """The address of `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`; None for anything else."""
    text = text.strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    address = _plain(text)
    return None if address is None else str(address)


def _plain(host: str) -> _Address | None:
    """An address as one thing, however it is spelt; an IPv4 one inside IPv6 as itself. None for what is no address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def subscriber(host: str) -> str:
    """Whom an address stands for: itself, an IPv6 one its /64."""
    if ":" not in host:
        return host
    address = _plain(host)
    if address is None or address.version == 4:
        return host if address is None else str(address)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
