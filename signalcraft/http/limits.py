"""Token buckets: so much at once, refilled evenly. In memory, bounded, on the injected clock."""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

BURST: Final = 300
"""Requests that a rested API key may make at once."""

_KEPT_MAX: Final = 20_000
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


class Addresses:
    """Whose address a request counts for: the peer's, or what a trusted proxy says of it."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted: list[_Network] = [ipaddress.ip_network(t, strict=False) for t in trusted]

    def of(self, scope: Mapping[str, Any]) -> str:
        """The client's address; an IPv6 one as its /64, which is one subscriber. "" on a Unix socket."""
        client = scope.get("client")
        host = str(client[0]) if client else ""
        if self._trusted and self.trusts(host):
            host = self._forwarded(scope, host)
        return _subscriber(host)

    def trusts(self, host: str) -> bool:
        """Whether a peer is one of our proxies."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    def _forwarded(self, scope: Mapping[str, Any], peer: str) -> str:
        said = b",".join(v for k, v in scope["headers"] if k == b"x-forwarded-for").decode("latin-1")
        for hop in reversed([h.strip() for h in said.split(",") if h.strip()]):
            if not self.trusts(hop):
                # The nearest hop that is not ours: what stands left of it anybody could have written.
                return hop
        return peer


def _subscriber(host: str) -> str:
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
