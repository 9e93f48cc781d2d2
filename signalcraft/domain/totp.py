"""Time-based one-time passwords: the six digits of an authenticator app.

RFC 6238 (https://www.rfc-editor.org/rfc/rfc6238) over RFC 4226's truncation: HMAC-SHA-1, steps of 30 s, six digits,
which is what every app reads from an `otpauth://` address.
"""

from __future__ import annotations

import base64
import hmac
from typing import Final
from urllib.parse import quote

STEP_MS: Final = 30_000
DIGITS: Final = 6
WINDOW: Final = 1
"""Steps by which a phone's clock may be off, to either side."""


def code_at(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of one step (RFC 4226, section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}d}"


def matching_step(secret: bytes, code: str, now_ms: int, used_step: int = 0) -> int | None:
    """The step that a code belongs to, within the window; None for a wrong one.

    Steps up to `used_step` do not count: a code works once (RFC 6238, section 5.2). Takes the same time whichever step
    it is.
    """
    current = now_ms // STEP_MS
    found = None
    for step in range(current - WINDOW, current + WINDOW + 1):
        same = hmac.compare_digest(code_at(secret, max(step, 0)).encode(), code.encode())
        if same and step > used_step and found is None:
            found = step
    return found


def shown(secret: bytes) -> str:
    """The secret as people type it: base 32 without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri(secret: bytes, account: str, issuer: str) -> str:
    """The address that authenticator apps read from a QR code.

    https://github.com/google/google-authenticator/wiki/Key-Uri-Format
    """
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    return f"otpauth://totp/{label}?secret={shown(secret)}&issuer={quote(issuer, safe='')}"
