"""Which statements speak of one problem: fingerprints, group keys and the keys of statements already heard. All hashes.

What is computed here is stored and compared for years. A change of any result needs a new VERSION and a migration; the
frozen vectors in tests/domain/test_fingerprint.py say so out loud.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from signalcraft.domain.event import Event

VERSION = 1

_VARYING = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # a UUID
    r"|0x[0-9a-f]+"  # an address
    r"|(?<![0-9a-z])(?=[a-f]*[0-9])[0-9a-f]{8,}(?![0-9a-z])"  # a hash: hex digits, at least one of them a decimal one
    r"|[0-9]+"  # a number
)


def fingerprint_of(event: Event) -> str:
    """What the event's group is folded by: the source's fingerprint, else the vendor's identity, else one derived from
    project and title in which numbers and ids do not count. Never empty. Call it after `event.bounded`.
    """
    known = event.fingerprint or event.dedup_key
    if known:
        return known
    derived = _joined((event.project, normalised(event.title or event.message)))
    return "~" + hashlib.blake2b(derived, digest_size=16).hexdigest()


def normalised(title: str) -> str:
    """A title without what varies from one event to the next: lower case, single spaces, `#` for numbers and ids."""
    return " ".join(_VARYING.sub("#", title.lower()).split())


def group_key(scope: str, project: str | None, environment: str | None, fingerprint: str) -> str:
    """The key of a group, "v1:" and 64 hex digits. Case and outer spaces do not count, blank is the same as None.

    `scope` is the source's kind, or "kind:integration id" where two integrations cannot speak of one problem.
    """
    return f"v{VERSION}:" + hashlib.sha256(_joined((scope, project, environment, fingerprint))).hexdigest()


def identity(scope: str, fingerprint: str) -> int:
    """A 63-bit number that every group of one problem shares, whatever its project and environment."""
    digest = hashlib.blake2b(_joined((scope, fingerprint)), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def delivery_key(kind: str, key: str) -> bytes:
    """16 bytes for a source's own key of one statement (Event.delivery_key), which is taken letter by letter."""
    return hashlib.blake2b(_lengths((kind, key)), digest_size=16).digest()


def payload_key(body: bytes) -> bytes:
    """16 bytes for a body, where its source has no better key."""
    return hashlib.blake2b(body, digest_size=16).digest()


def _joined(parts: Iterable[str | None]) -> bytes:
    return _lengths([(part or "").strip().lower() for part in parts])


def _lengths(parts: Iterable[str]) -> bytes:
    # Each part carries its length, so that no part can run over into the next one.
    out = bytearray()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        out += b"%d:" % len(raw)
        out += raw
    return bytes(out)
