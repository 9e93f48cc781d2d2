"""Signatures: over the raw bytes, required or not, and never a crash for what a stranger puts into a header."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain.event import HttpInbound
from signalcraft.errors import BadSignature
from signalcraft.sources import generic, sentry

BODY = '{"a": 4.0,  "b": "Größe"}'.encode()
NOW_MS = 1_780_000_000_000
NOW_S = NOW_MS // 1000


def post(body: bytes = BODY, **headers: str) -> HttpInbound:
    """A POST; underscores of the names become dashes."""
    return HttpInbound("POST", "", "", {name.replace("_", "-"): value for name, value in headers.items()}, body)


def hexed(secret: str = "s3cret", body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def refused(source: Any, config: Any, inbound: HttpInbound, now_ms: int = NOW_MS) -> bool:
    try:
        source.verify(config, inbound, now_ms)
    except BadSignature:
        return True
    return False


@pytest.mark.parametrize("header", ["sentry_hook_signature", "x_servicehook_signature"])
def test_sentry_signs_the_bytes_it_sends(header: str) -> None:
    config = sentry.Config(secret="s3cret")
    assert not refused(sentry, config, post(**{header: hexed()}))
    assert refused(sentry, config, post(BODY + b"\n", **{header: hexed()}))
    assert refused(sentry, config, post(**{header: hexed("other")}))
    assert refused(sentry, config, post(**{header: hexed().upper()}))
    assert refused(sentry, config, post(**{header: ""}))


def test_the_platforms_header_decides_where_both_are_there() -> None:
    config = sentry.Config(secret="s3cret")
    assert refused(sentry, config, post(sentry_hook_signature="0" * 64, x_servicehook_signature=hexed()))


# What an integration accepts: (secret, require_signature, header) → refused?
TABLE = [
    ("s3cret", None, "right", False),
    ("s3cret", None, "wrong", True),
    ("s3cret", None, None, True),
    ("s3cret", True, "right", False),
    ("s3cret", True, "wrong", True),
    ("s3cret", True, None, True),
    ("s3cret", False, "right", False),
    ("s3cret", False, "wrong", True),  # not required, and yet a wrong one is no accident
    ("s3cret", False, None, False),  # the legacy plugin: its address is its key
    ("", None, "right", False),
    ("", None, None, False),
    ("", False, "wrong", False),
    ("", True, "right", True),  # nothing to check it with
    ("", True, None, True),
]


@pytest.mark.parametrize(("secret", "required", "given_", "outcome"), TABLE)
@pytest.mark.parametrize("source", [sentry, generic], ids=["sentry", "generic"])
def test_when_a_signature_is_needed(
    source: Any, secret: str, required: bool | None, given_: str | None, outcome: bool
) -> None:
    value = {"right": hexed(), "wrong": hexed("other")}.get(given_ or "")
    name, prefix = ("sentry_hook_signature", "") if source is sentry else ("x_signature_256", "sha256=")
    headers = {} if value is None else {name: prefix + value}
    config = source.Config(secret=secret, require_signature=required)
    assert refused(source, config, post(**headers)) is outcome


@given(st.text())
def test_no_header_crashes_a_check(value: str) -> None:
    """Bytes beyond ASCII, lone surrogates (how some servers decode them), nothing at all: a wrong signature."""
    for odd in (value, value + "é", "\udcff" + value):
        assert refused(sentry, sentry.Config(secret="s3cret"), post(sentry_hook_signature=odd))
        config = generic.Config(secret="s3cret")
        assert refused(generic, config, post(x_hub_signature_256=odd))
        assert refused(generic, config, post(webhook_id="m", webhook_timestamp=str(NOW_S), webhook_signature=odd))
        assert refused(generic, config, post(webhook_id="m", webhook_timestamp=odd, webhook_signature="v1,x"))


def test_a_secret_beyond_ascii_signs_as_utf_8() -> None:
    assert not refused(sentry, sentry.Config(secret="Größe"), post(sentry_hook_signature=hexed("Größe")))


def standard(secret: bytes, id_: str = "msg_1", at: str = str(NOW_S), body: bytes = BODY) -> str:
    """A signature of Standard Webhooks 1.0: "v1," and base64."""
    signed = f"{id_}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


RAW = b"\x00\x01raw key of 24 bytes....\xff"
WHSEC = "whsec_" + base64.b64encode(RAW).decode()


@pytest.mark.parametrize(("secret", "key"), [(WHSEC, RAW), ("plain words", b"plain words")])
def test_standard_webhooks(secret: str, key: bytes) -> None:
    config = generic.Config(secret=secret)

    def sent(signature: str, id_: str = "msg_1", at: str = str(NOW_S), body: bytes = BODY) -> HttpInbound:
        return post(body, webhook_id=id_, webhook_timestamp=at, webhook_signature=signature)

    good = standard(key)
    assert not refused(generic, config, sent(good))
    assert not refused(generic, config, sent(f"v1,AAAA v1a,{good} {good}"))  # several, while a secret is rotated
    assert refused(generic, config, sent("v1,AAAA v2,BBBB"))
    assert refused(generic, config, sent(good, id_="msg_2"))
    assert refused(generic, config, sent(good, id_=""))
    assert refused(generic, config, sent(good, at=str(NOW_S + 1)))
    assert refused(generic, config, sent(good, body=BODY + b" "))
    assert refused(generic, config, post(webhook_signature=good))
    # A wrong one is not mended by a right one of the other sort.
    both = {"webhook-id": "m", "webhook-timestamp": str(NOW_S), "webhook-signature": "v1,x"}
    both["x-signature-256"] = "sha256=" + hexed(secret)
    assert refused(generic, config, HttpInbound("POST", "", "", both, BODY))


@pytest.mark.parametrize(("away_s", "outcome"), [(0, False), (300, False), (-300, False), (301, True), (-301, True)])
def test_standard_webhooks_expire(away_s: int, outcome: bool) -> None:
    at = str(NOW_S - away_s)
    inbound = post(webhook_id="m", webhook_timestamp=at, webhook_signature=standard(RAW, "m", at))
    assert refused(generic, generic.Config(secret=WHSEC), inbound) is outcome


@pytest.mark.parametrize("header", ["x_signature_256", "x_hub_signature_256"])
def test_the_hex_hmac_that_github_made_common(header: str) -> None:
    config = generic.Config(secret="s3cret")
    assert not refused(generic, config, post(**{header: "sha256=" + hexed()}))
    assert refused(generic, config, post(**{header: hexed()}))
    assert refused(generic, config, post(**{header: "sha256=" + hexed(body=b"")}))


@pytest.mark.parametrize("source", [sentry, generic], ids=["sentry", "generic"])
def test_settings_that_cannot_be_meant(source: Any) -> None:
    with pytest.raises(ValueError, match="default_severity must be one of info, low, medium, high, critical"):
        source.Config(default_severity="urgent")
    assert source.Config(default_severity="High").default_severity == "High"


def test_a_whsec_secret_must_be_base64() -> None:
    with pytest.raises(ValueError, match="base64"):
        generic.Config(secret="whsec_not base64!")
