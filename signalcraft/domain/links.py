"""Signed, expiring links by which a person acts from a mail or a webhook without signing in.

A token says what it may do and until when, and carries its own proof: nothing is stored for it. Whoever holds it can
use it, so it is given to a channel's recipients only, and does one verb on one group. Its GET shows a page; only its
POST acts, since mail scanners open every link.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from typing import Final

from msgspec import Struct

from signalcraft.errors import Invalid

EXPIRED: Final = "expired"
WRONG: Final = "wrong"
"""The two reasons in `Invalid.detail`; the page that answers puts them in words."""

_VERBS: Final = ("ack", "snooze", "resolve", "unsnooze")
_LAYOUT = struct.Struct(">BBQQQ")  # version, verb, group, channel, expiry in ms
_VERSION = 1
_PROOF_BYTES = 16
# 26 + 16 = 42 bytes, a multiple of 3: every character of the text counts, none has idle bits.
_TEXT = re.compile(r"[A-Za-z0-9_-]{56}", re.ASCII)
_SHARE = struct.Struct(">BQQ")  # version, share, expiry in ms; 17 + 16 = 33 bytes, a multiple of 3 too
_SHARE_TEXT = re.compile(r"[A-Za-z0-9_-]{44}", re.ASCII)


class Link(Struct, frozen=True):
    """What a token allows: one verb on one group, as told through one channel. Ids as in the tables."""

    group: int
    channel: int
    verb: str
    expires_ms: int


def _proof(key: bytes, said: bytes) -> bytes:
    return hmac.new(key, b"signalcraft link\x00" + said, hashlib.sha256).digest()[:_PROOF_BYTES]


def sign(key: bytes, group: int, channel: int, verb: str, expires_ms: int) -> str:
    """A token of 56 characters, safe in a URL's path. Raises Invalid for a verb that no link can do."""
    if verb not in _VERBS:
        raise Invalid(f"no link can {verb}", path="verb")
    said = _LAYOUT.pack(_VERSION, _VERBS.index(verb), group, channel, expires_ms)
    return base64.urlsafe_b64encode(said + _proof(key, said)).decode("ascii")


def read(key: bytes, token: str, now_ms: int) -> Link:
    """What a token allows. Raises Invalid("wrong") for one we did not sign, Invalid("expired") for one past its time.

    The proof is compared in constant time, before anything the token says is believed.
    """
    if not _TEXT.fullmatch(token):
        raise Invalid(WRONG)
    raw = base64.urlsafe_b64decode(token)
    said, proof = raw[: _LAYOUT.size], raw[_LAYOUT.size :]
    if not hmac.compare_digest(proof, _proof(key, said)):
        raise Invalid(WRONG)
    version, verb, group, channel, expires_ms = _LAYOUT.unpack(said)
    if version != _VERSION or verb >= len(_VERBS):
        raise Invalid(WRONG)
    if now_ms >= expires_ms:
        raise Invalid(EXPIRED)
    return Link(group=group, channel=channel, verb=_VERBS[verb], expires_ms=expires_ms)


def sign_share(key: bytes, share: int, expires_ms: int) -> str:
    """A token of 44 characters that shows what the row `share` is about, until then."""
    said = _SHARE.pack(_VERSION, share, expires_ms)
    return base64.urlsafe_b64encode(said + _proof(key, said)).decode("ascii")


def read_share(key: bytes, token: str, now_ms: int) -> int:
    """Which row a token is for. Raises Invalid("wrong"), Invalid("expired"), as `read` does."""
    if not _SHARE_TEXT.fullmatch(token):
        raise Invalid(WRONG)
    raw = base64.urlsafe_b64decode(token)
    said, proof = raw[: _SHARE.size], raw[_SHARE.size :]
    if not hmac.compare_digest(proof, _proof(key, said)):
        raise Invalid(WRONG)
    version, share, expires_ms = _SHARE.unpack(said)
    if version != _VERSION:
        raise Invalid(WRONG)
    if now_ms >= expires_ms:
        raise Invalid(EXPIRED)
    return int(share)
