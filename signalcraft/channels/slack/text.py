"""Slack's mrkdwn: what is escaped, how long a text may be, how people are pinged, and how other people's text cannot.

https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re

from signalcraft.domain.wording import moment, web_link

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LAST_MS = 253_402_214_400_000


def size(ready: str) -> int:
    """How long a text is in UTF-16 units: the widest way in which a vendor might count."""
    return len(ready) if ready.isascii() else len(ready.encode("utf-16-le")) // 2


def fit(raw: str, limit: int) -> str:
    """Other people's text, escaped and visibly cut so that the result has at most `limit` characters.

    Characters are counted as `size` does; no escape is cut in two.
    """
    if len(raw) <= limit and raw.isascii() and not any(c in raw for c in "&<>"):
        return raw
    pieces: list[str] = []
    sizes: list[int] = []
    used = 0
    # A lone surrogate has no UTF-8 form, so no JSON either.
    for c in raw[: limit + 1].encode("utf-8", "replace").decode("utf-8"):
        piece = _ESCAPES.get(c, c)
        units = 2 if c > "\uffff" else len(piece)
        pieces.append(piece)
        sizes.append(units)
        used += units
        if used > limit:
            while pieces and used > limit - 1:
                pieces.pop()
                used -= sizes.pop()
            return "".join(pieces) + "…"
    return "".join(pieces)


def link(url: str | None, label: str) -> str:
    """`<url|label>`, "" where the address is none that a browser may open. `label` is ready mrkdwn.

    An address too long for a message is said to be, not cut: a cut link leads nowhere.
    """
    address = web_link(url)
    if not address:
        return ""
    for raw, safe in (("&", "&amp;"), ("<", "%3C"), (">", "%3E"), ("|", "%7C")):
        address = address.replace(raw, safe)
    if size(address) > 2500:
        return f"{label} (link too long to show)"
    return f"<{address}|{label}>"


def date(at_ms: int, timezone: str) -> str:
    """A time that Slack shows in each reader's own zone, with ours for a client that cannot."""
    seconds = min(max(at_ms, 0), _LAST_MS) // 1000
    return f"<!date^{seconds}^{{date_short_pretty}} {{time}}|{fit(moment(at_ms, timezone), 60)}>"


_WORDS = {"here": "<!here>", "channel": "<!channel>", "everyone": "<!everyone>"}
_GROUP = re.compile(r"S[A-Z0-9]{2,20}", re.ASCII)
_USER = re.compile(r"[UW][A-Z0-9]{2,20}", re.ASCII)


def mention(wish: str) -> str:
    """The ping for "here", "channel", a user group id (S…) or user ids (U…, W…), several with spaces or commas between.

    A word that Slack has no ping for is shown as it is, so that a slip in a rule is seen.
    """
    pings = []
    for word in re.split(r"[\s,]+", wish.strip())[:10]:
        plain = word.removeprefix("@")
        if plain in _WORDS:
            pings.append(_WORDS[plain])
        elif _GROUP.fullmatch(word):
            pings.append(f"<!subteam^{word}>")
        elif _USER.fullmatch(word):
            pings.append(f"<@{word}>")
        elif word:
            pings.append(fit(word, 40))
    return " ".join(pings)
