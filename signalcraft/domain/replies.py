"""Reading what came back from a vendor: headers in any case, Retry-After in both its forms."""

from __future__ import annotations

import email.utils
import math

from signalcraft.domain.delivery import Reply
from signalcraft.domain.event import clip

RETRY_AFTER_MAX_S = 3600.0
"""A vendor's word is taken up to an hour: past that a wrong clock or a slip is likelier than a wish."""


def header(reply: Reply, name: str) -> str:
    """A header by its name in any case, "" where it is missing."""
    found = reply.headers.get(name)
    if found is not None:
        return found
    wanted = name.lower()
    return next((v for k, v in reply.headers.items() if k.lower() == wanted), "")


def retry_after_s(reply: Reply, now_ms: int) -> float | None:
    """Retry-After (RFC 9110 10.2.3) as seconds from now, 0 … 3600; None where there is none that can be read."""
    text = header(reply, "retry-after").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now_ms / 1000
        except (ValueError, TypeError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def came_back(reply: Reply) -> str:
    """A failed reply in words, for a log line: "HTTP 502", or the transport's own error."""
    return clip(reply.error, 300) if reply.error else f"HTTP {reply.status}"
