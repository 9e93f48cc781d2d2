"""Bodies for webhook routes that no sender means: noise, broken JSON, good JSON of the wrong form, good bodies bent."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests import bodies
from tests.http.test_answers import form, payload

ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 2**63, -(2**80), 1e308, -0.0, "", " ", "\0", "\ud800", "🧨" * 40, "a" * 70_000, "'; drop",
    "<script>", "%s%n", "../../etc/passwd", [], {}, [[]], [None], {"": ""}, {"a": {"b": {"c": [1, {}]}}}, "1e999",
    "2026-13-45T99:99:99Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999+14:00", "critical", "\r\nX: y",
)  # fmt: skip
"""Values that a field does not expect."""


def bent(value: Any, dice: random.Random, share: float = 0.1) -> Any:
    """A value with some of its parts replaced, taken out, doubled or renamed."""
    if dice.random() < share / 3:
        return dice.choice(ODD)
    if isinstance(value, dict):
        made = {}
        for key, inner in value.items():
            luck = dice.random()
            if luck < share / 3:
                continue
            made[dice.choice(["", "\0", key.upper(), key + key]) if luck < share / 2 else key] = bent(
                inner, dice, share
            )
        return made
    if isinstance(value, list):
        parts = [bent(inner, dice, share) for inner in value]
        return parts * dice.choice([1, 1, 1, 0, 3])
    return dice.choice(ODD) if dice.random() < share else value


def noise(dice: random.Random) -> bytes:
    """Anything at all."""
    luck = dice.randrange(6)
    if luck == 0:
        return dice.randbytes(dice.randrange(400))
    if luck == 1:
        return b"[" * dice.randrange(1, 3000) + b"]" * dice.randrange(3)
    if luck == 2:
        return b'{"a":' * dice.randrange(1, 500) + b"1" + b"}" * dice.randrange(500)
    if luck == 3:
        return json.dumps(dice.choice(ODD)).encode("utf-8", "surrogatepass")
    if luck == 4:
        return "".join(dice.choices('{}[]",:0123456789eE+-. \\u\n\ttruefalsn', k=dice.randrange(200))).encode()
    return json.dumps({str(dice.choice(ODD)): dice.choice(ODD) for _ in range(5)}).encode("utf-8", "surrogatepass")


def _cut(body: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(body) + 1)
    return dice.choice([body[:at], body[:at] + dice.randbytes(3) + body[at + 1 :], body + body, body])


def _text(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def sentry(dice: random.Random) -> tuple[bytes, dict[str, str]]:
    """For the Sentry route, signed rightly: it is read."""
    resource = dice.choice(["event_alert", "issue", "metric_alert", "comment"])
    luck = dice.random()
    good = json.loads(
        bodies.body(resource, **({"title": str(dice.choice(ODD))[:200]} if resource != "comment" else {}))
    )
    raw = noise(dice) if luck < 0.3 else _text(bent(good, dice, dice.choice([0.02, 0.1, 0.4])))
    raw = _cut(raw, dice) if dice.random() < 0.2 else raw
    said = bodies.signed(raw, dice.choice([resource, resource, "error", "installation", "\xff", ""]), bodies.SECRET)
    return raw, said


def generic(dice: random.Random) -> tuple[bytes, dict[str, str]]:
    """For the generic route."""
    good = {
        "title": "Checkout is down", "message": "502", "severity": "critical", "status": "firing", "dedup_key": "k",
        "project": "shop", "environment": "prod", "link": "https://shop.example.com", "tags": {"a": "b"},
        "occurred_at": "2026-03-02T09:00:00Z", "user": {"id": "7", "email": "kim@example.com"},
    }  # fmt: skip
    good["title"] = f"alert {dice.randrange(50)}"
    luck = dice.random()
    raw = noise(dice) if luck < 0.3 else _text(bent(good, dice, dice.choice([0.05, 0.3, 0.8])))
    return (_cut(raw, dice) if dice.random() < 0.2 else raw), {
        "Content-Type": dice.choice(["application/json", "application/json", "text/plain", "a/b; charset=\xff", ""])
    }


def slack(dice: random.Random) -> tuple[bytes, dict[str, str]]:
    """For Slack's route, to be signed by whoever sends it."""
    luck = dice.random()
    good = payload(
        dice.choice(["0" * 13, "0dv8m2k4c0001", "", "x"]), dice.choice(["ack", "resolve", "snooze", "x", ""])
    )
    if luck < 0.3:
        raw = noise(dice)
    elif luck < 0.9:
        raw = form(bent(good, dice, dice.choice([0.05, 0.2, 0.6])))
    else:
        raw = b"payload=" + noise(dice)
    return raw, {"Content-Type": dice.choice(["application/x-www-form-urlencoded", "application/json", "x"])}


KINDS: Final[dict[str, Callable[[random.Random], tuple[bytes, dict[str, str]]]]] = {
    "sentry": sentry,
    "generic": generic,
    "slack": slack,
}


def some(kind: str, count: int, start: int) -> Iterator[tuple[bytes, dict[str, str]]]:
    """So many bodies with their headers; the same ones for the same start."""
    dice = random.Random(start)
    for _ in range(count):
        yield KINDS[kind](dice)
