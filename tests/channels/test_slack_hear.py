"""Presses of buttons in Slack: whose word is believed, and what was pressed."""

from __future__ import annotations

import hashlib
import hmac
import json
import urllib.parse
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from signalcraft.channels import slack
from signalcraft.domain.delivery import Act
from signalcraft.domain.event import HttpInbound
from signalcraft.errors import BadSignature, Unreadable
from tests.channels.notes import GROUP_ID, NOTE, SNOOZED, T0

CONFIG = slack.Config(bot_token="xoxb-test", channel="#oncall", signing_secret="8f742231b10e8888abcd99yyyzzz85a5")
STAMP = T0 // 1000


def payload(action: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": "U0ANN", "username": "ann", "name": "ann", "team_id": "T0TEAM"},
        "team": {"id": "T0TEAM", "domain": "example"},
        "channel": {"id": "C0ONCALL"},
        "message": {"ts": "1772359261.000100"},
        "container": {"message_ts": "1772359261.000100", "channel_id": "C0ONCALL"},
        "response_url": "https://hooks.slack.com/actions/T0TEAM/1/abc",
        "trigger_id": "1.2.3",
        "actions": [{"type": "button", "block_id": "actions.d", "action_ts": "1772359270.1", **action}],
        **changes,
    }


def form(found: Any) -> bytes:
    return urllib.parse.urlencode({"payload": json.dumps(found)}).encode()


def signed(body: bytes, *, stamp: int | str = STAMP, secret: str = CONFIG.signing_secret) -> HttpInbound:
    proof = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": str(stamp),
        "x-slack-signature": f"v0={proof}",
    }
    return HttpInbound("POST", "", "", headers, body)


def heard(action: dict[str, Any], **changes: Any) -> list[Act]:
    return slack.hear(CONFIG, signed(form(payload(action, **changes))), T0)


ANN = Act(
    verb="ack",
    group_id=GROUP_ID,
    who_id="U0ANN",
    who_name="ann",
    via="slack",
    answer_url="https://hooks.slack.com/actions/T0TEAM/1/abc",
)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"action_id": "ack", "value": GROUP_ID}, ANN),
        ({"action_id": "resolve", "value": GROUP_ID}, replace(ANN, verb="resolve")),
        ({"action_id": "unsnooze", "value": GROUP_ID}, replace(ANN, verb="unsnooze")),
        ({"action_id": "snooze", "value": GROUP_ID}, replace(ANN, verb="snooze", minutes=60)),
        (
            {"action_id": "snooze_for", "selected_option": {"value": f"{GROUP_ID}:30"}},
            replace(ANN, verb="snooze", minutes=30),
        ),
        (
            {"action_id": "snooze_for", "selected_option": {"value": f"{GROUP_ID}:240"}},
            replace(ANN, verb="snooze", minutes=240),
        ),
        (
            {"action_id": "snooze_for", "selected_option": {"value": f"{GROUP_ID}:nine"}},
            replace(ANN, verb="snooze", until_nine=True),
        ),
    ],
)
def test_each_button(action: dict[str, Any], expected: Act) -> None:
    assert heard(action) == [expected]


def test_every_button_we_post_is_understood() -> None:
    verbs = set()
    for note in (NOTE, replace(NOTE, group=SNOOZED)):
        (step,) = slack.compose(CONFIG, note, {})
        for block in msgspec.json.decode(step.body)["blocks"]:  # type: ignore[union-attr]
            for element in block.get("elements", []):
                for option in element.get("options", []):
                    verbs |= {act.verb for act in heard({"action_id": element["action_id"], "selected_option": option})}
                if element["type"] == "button":
                    verbs |= {a.verb for a in heard({"action_id": element["action_id"], "value": element["value"]})}
    assert verbs == {"ack", "snooze", "resolve", "unsnooze"}


def test_who_pressed_it() -> None:
    ack = {"action_id": "ack", "value": GROUP_ID}
    assert heard(ack, user={"id": "U0BOB", "name": "bob"})[0].who_name == "bob"
    assert heard(ack, user={"id": "U0BOB"})[0].who_name == "U0BOB"
    assert heard(ack, user={"id": "U0BOB", "username": "  "})[0].who_name == "U0BOB"


@pytest.mark.parametrize("kind", ["view_submission", "shortcut", "message_action", None])
def test_other_payloads_ask_nothing(kind: str | None) -> None:
    assert heard({"action_id": "ack", "value": GROUP_ID}, type=kind) == []


def test_a_link_button_asks_nothing() -> None:
    assert heard({"action_id": "open_page", "value": "x"}) == []


def test_slacks_own_vector() -> None:
    """The example of Slack's page on verifying requests: a slash command, correctly signed, and no form of ours."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
        b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    with pytest.raises(Unreadable):
        slack.hear(CONFIG, HttpInbound("POST", "", "", headers, body), 1_531_420_618_000)
    with pytest.raises(BadSignature):
        slack.hear(CONFIG, HttpInbound("POST", "", "", headers, body + b"&x=1"), 1_531_420_618_000)


@pytest.mark.parametrize("drift_s", [-300, -1, 0, 299, 300])
def test_five_minutes_are_allowed(drift_s: int) -> None:
    inbound = signed(form(payload({"action_id": "ack", "value": GROUP_ID})), stamp=STAMP + drift_s)
    assert slack.hear(CONFIG, inbound, T0)


@pytest.mark.parametrize("drift_s", [-301, 301, -86_400, 10_000_000])
def test_more_are_not(drift_s: int) -> None:
    inbound = signed(form(payload({"action_id": "ack", "value": GROUP_ID})), stamp=STAMP + drift_s)
    with pytest.raises(BadSignature):
        slack.hear(CONFIG, inbound, T0)


@pytest.mark.parametrize(
    "stamp", ["", "now", "1772359200.0", "-1", "+1772359200", "١٧٧٢٣٥٩٢٠٠", "1" * 5000, " 1772359200"]
)
def test_a_stamp_that_is_no_number(stamp: str) -> None:
    inbound = signed(form(payload({"action_id": "ack", "value": GROUP_ID})), stamp=stamp)
    with pytest.raises(BadSignature):
        slack.hear(CONFIG, inbound, T0)


@pytest.mark.parametrize("signature", ["", "v0=", "v0=" + "0" * 64, "v0=é", "v1=" + "0" * 64, "\ud800"])
def test_a_wrong_signature(signature: str) -> None:
    inbound = signed(form(payload({"action_id": "ack", "value": GROUP_ID})))
    headers = {**inbound.headers, "x-slack-signature": signature}
    with pytest.raises(BadSignature):
        slack.hear(CONFIG, HttpInbound("POST", "", "", headers, inbound.body), T0)


def test_another_secret_or_none() -> None:
    body = form(payload({"action_id": "ack", "value": GROUP_ID}))
    with pytest.raises(BadSignature):
        slack.hear(CONFIG, signed(body, secret="other"), T0)
    with pytest.raises(BadSignature):
        slack.hear(replace(CONFIG, signing_secret=""), signed(body, secret=""), T0)


def test_the_signature_is_over_the_form_not_over_what_it_decodes_to() -> None:
    """Another spelling of the same payload is another body."""
    inbound = signed(form(payload({"action_id": "ack", "value": GROUP_ID})))
    assert slack.hear(CONFIG, inbound, T0)
    respelt = inbound.body.replace(b"%22", b'"', 1)
    with pytest.raises(BadSignature):
        slack.hear(CONFIG, HttpInbound("POST", "", "", inbound.headers, respelt), T0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"payload=",
        b"payload=%FF",
        b"payload=nonsense",
        b"payload=[]",
        b"payload=%22text%22",
        b"payload={}&payload={}",
        b"payload=" + b"[" * 50_000,
        b"&".join(b"a%d=1" % n for n in range(1000)),
        b'{"type":"block_actions"}',
        form({"type": "block_actions"}),
        form({"type": "block_actions", "user": {"id": "U"}, "actions": {}}),
        form({"type": "block_actions", "user": [], "actions": []}),
        form({"type": "block_actions", "user": {"id": 7}, "actions": []}),
        form({"type": "block_actions", "user": {"id": "U"}, "actions": ["ack"]}),
        form(payload({"action_id": "ack"})),
        form(payload({"action_id": "ack", "value": 7})),
        form(payload({"action_id": "ack", "value": "x" * 3000})),
        form(payload({"action_id": "snooze", "value": f"{GROUP_ID}:0"})),
        form(payload({"action_id": "snooze", "value": f"{GROUP_ID}:-5"})),
        form(payload({"action_id": "snooze", "value": f"{GROUP_ID}:999999"})),
        form(payload({"action_id": "snooze_for", "selected_option": None})),
    ],
)
def test_a_signed_body_that_is_not_slacks(body: bytes) -> None:
    with pytest.raises(Unreadable):
        slack.hear(CONFIG, signed(body), T0)


@given(
    found=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    )
)
def test_any_json_is_read_or_unreadable(found: Any) -> None:
    for value in (
        found,
        payload({"action_id": "ack", "value": found}),
        payload({}, user=found),
        payload({}, actions=found),
    ):
        try:
            acts = slack.hear(CONFIG, signed(form(value)), T0)
        except Unreadable:
            continue
        assert all(isinstance(act, Act) for act in acts)


def test_slacks_certificate_check_is_answered() -> None:
    assert slack.hear(CONFIG, signed(b"ssl_check=1&token=abc"), T0) == []


def test_an_answer_is_for_the_one_who_pressed() -> None:
    step = slack.answer(CONFIG, ANN, "Already resolved by <Bob>")
    assert step.url == ANN.answer_url
    assert msgspec.json.decode(step.body) == {
        "response_type": "ephemeral",
        "replace_original": False,
        "text": "Already resolved by &lt;Bob&gt;",
    }
    assert not step.private_ok
    assert "xoxb-test" not in repr(step)


@pytest.mark.parametrize(
    ("url", "private_ok"),
    [
        ("http://127.0.0.1:7777/respond/1", True),
        ("http://169.254.169.254/latest/meta-data/", False),
        ("http://10.0.0.5/", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_an_answer_goes_inside_only_where_the_operators_slack_is(url: str, private_ok: bool) -> None:
    config = replace(CONFIG, api_url="http://127.0.0.1:9999/api/")
    assert slack.answer(config, replace(ANN, answer_url=url), "x").private_ok is private_ok
