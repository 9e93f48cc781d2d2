"""Signed webhooks: exact bodies, Standard Webhooks signatures, and what a receiver's answers mean."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from signalcraft.channels import webhook
from signalcraft.domain.delivery import Broken, HttpCall, Note, Refused, Reply, Retry, Sent
from tests.channels.notes import CASES, NASTY, NOTE, RESOLVED, matches_golden, notes

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
CONFIG = webhook.Config(url="https://hooks.example.com/signalcraft?team=7", secret=SECRET)


def call(note: Note = NOTE, config: webhook.Config = CONFIG) -> HttpCall:
    (step,) = webhook.compose(config, note, {})
    assert isinstance(step, HttpCall)
    return step


def verified(step: HttpCall, key: bytes) -> bool:
    """What a receiver does by the Standard Webhooks page, written from that page."""
    signed = b".".join([step.headers["webhook-id"].encode(), step.headers["webhook-timestamp"].encode(), step.body])
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(
        hmac.compare_digest(expected, proof)
        for version, _, proof in (part.partition(",") for part in step.headers["webhook-signature"].split())
        if version == "v1"
    )


@pytest.mark.parametrize("name", CASES)
def test_calls_are_as_kept(name: str) -> None:
    matches_golden("webhook", name, webhook.compose(CONFIG, CASES[name], {}))


def test_the_signature_is_that_of_standard_webhooks() -> None:
    assert verified(call(), KEY)
    assert not verified(call(), bytes(32))


def test_the_published_example_is_signed_as_published() -> None:
    """The test vector of the Standard Webhooks libraries."""
    key = webhook._key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert key is not None
    signed = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    assert base64.b64encode(hmac.digest(key, signed, "sha256")) == b"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_id_is_the_deliverys_on_every_try_and_the_time_is_the_trys() -> None:
    again = call(replace(NOTE, now_ms=NOTE.now_ms + 5_000))
    assert again.headers["webhook-id"] == call().headers["webhook-id"] == NOTE.delivery_id
    assert int(again.headers["webhook-timestamp"]) == int(call().headers["webhook-timestamp"]) + 5
    assert verified(again, KEY)


def test_two_secrets_sign_twice_while_the_receiver_changes_over() -> None:
    other = bytes(24)
    step = call(config=replace(CONFIG, secret=f"{SECRET} whsec_{base64.b64encode(other).decode()}"))
    assert verified(step, KEY)
    assert verified(step, other)


def test_without_a_secret_there_is_no_signature() -> None:
    assert "webhook-signature" not in call(config=replace(CONFIG, secret="")).headers


def test_headers_of_the_settings_are_sent_and_ours_win() -> None:
    step = call(config=replace(CONFIG, headers={"X-Team": "7"}, authorization="Bearer t0ken"))
    assert step.headers["X-Team"] == "7"
    assert step.headers["Authorization"] == "Bearer t0ken"
    assert step.headers["Content-Type"] == "application/json"
    assert not step.private_ok


def test_the_body_says_what_happened() -> None:
    body = msgspec.json.decode(call(replace(NOTE, kind="resolved", group=RESOLVED, reason="by hand")).body)
    assert body["type"] == "alert_group.resolved"
    assert body["timestamp"] == "2026-03-01T10:01:01.000Z"
    group = body["data"]["group"]
    assert (group["status"], group["resolved_by"], group["resolved_at"]) == (
        "resolved", "Ann Example", "2026-03-01T13:20:00.000Z",
    )  # fmt: skip
    assert body["data"]["links"] == {"page": NOTE.page_url, "ack": NOTE.ack_url}
    assert body["data"]["reason"] == "by hand"


def test_an_update_is_not_sent() -> None:
    assert webhook.compose(CONFIG, replace(NOTE, kind="update"), {}) == []


@pytest.mark.parametrize("nasty", NASTY)
def test_text_travels_as_it_is(nasty: str) -> None:
    """Nothing is escaped for a machine but what has no UTF-8 form."""
    body = msgspec.json.decode(call(replace(NOTE, group=replace(NOTE.group, title=nasty, tags={nasty: nasty}))).body)
    assert body["data"]["group"]["title"] == nasty.encode("utf-8", "replace").decode()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(note=notes)
def test_any_note_makes_a_signed_call(note: Note) -> None:
    for step in webhook.compose(CONFIG, note, {}):
        assert isinstance(step, HttpCall)
        assert verified(step, KEY)
        body = msgspec.json.decode(step.body)
        assert body["type"] == f"alert_group.{note.kind}"
        velocity = body["data"]["group"]["velocity_per_hour"]
        assert velocity is None or math.isfinite(velocity)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_taken(status: int) -> None:
    assert webhook.judge(CONFIG, NOTE, call(), Reply(status=status)) == Sent({"id": NOTE.delivery_id})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, Refused), (302, Refused), (307, Refused), (304, Refused),
        (400, Refused), (413, Refused), (422, Refused), (405, Refused),
        (401, Broken), (403, Broken), (404, Broken), (410, Broken),
        (408, Retry), (425, Retry), (429, Retry), (500, Retry), (502, Retry), (503, Retry), (599, Retry), (0, Retry),
    ],
)  # fmt: skip
def test_codes(status: int, expected: type) -> None:
    assert isinstance(webhook.judge(CONFIG, NOTE, call(), Reply(status=status, error="" if status else "x")), expected)


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_is_as_long_as_the_receiver_says(status: int) -> None:
    found = webhook.judge(CONFIG, NOTE, call(), Reply(status=status, headers={"retry-after": "120"}))
    assert isinstance(found, Retry)
    assert found.after_s == 120


def test_an_address_inside_our_own_network_needs_the_operator() -> None:
    reply = Reply(status=0, error="blocked: hooks.example.com leads to a private address")
    found = webhook.judge(CONFIG, NOTE, call(), reply)
    assert found == Broken(
        "blocked: hooks.example.com leads to a private address; the operator can allow it (outbound.allow)"
    )


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"url": ""}, "url"),
        ({"url": "ftp://x.example/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://x.example:port/"}, "url"),
        ({"url": "https://[x/"}, "url"),
        ({"url": "https://ann:pw@x.example/"}, "url"),
        ({"url": "https://x.example/#top"}, "url"),
        ({"url": "https://x.example/\r\nX: y"}, "url"),
        ({"url": "https://x.example/ö"}, "url"),
        ({"url": "https://x.example/" + "p" * 2000}, "url"),
        ({"secret": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "secret"),
        ({"secret": "whsec_short"}, "secret"),
        ({"secret": "whsec_" + "A" * 100}, "secret"),
        ({"secret": f"{SECRET} whsec_!"}, "secret"),
        ({"authorization": "Bearer a\r\nX: y"}, "authorization"),
        ({"headers": {"X Team": "7"}}, "headers.X Team"),
        ({"headers": {"": "7"}}, "headers."),
        ({"headers": {"X-Team": "7\r\nX: y"}}, "headers.X-Team"),
        ({"headers": {"X-Team": "é"}}, "headers.X-Team"),
        ({"headers": {"Host": "other"}}, "headers.Host"),
        ({"headers": {"Webhook-Id": "1"}}, "headers.Webhook-Id"),
        ({"headers": {"authorization": "Bearer x"}}, "headers.authorization"),
        ({"headers": {"Cookie": "a=b"}}, "headers.Cookie"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], path: str) -> None:
    assert [found for found, _ in webhook.check(replace(CONFIG, **changes))] == [path]


def test_right_settings_pass() -> None:
    assert webhook.check(CONFIG) == []
    assert webhook.check(replace(CONFIG, secret="", headers={"X-Team": "7"}, authorization="Bearer x")) == []
    assert webhook.check(replace(CONFIG, secret=f"{SECRET} {SECRET}")) == []
