"""What Slack is asked to say: exact messages, buttons, threads, and text that cannot ping or break the layout."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from signalcraft.channels import slack
from signalcraft.domain.delivery import HttpCall, Note
from tests.channels.notes import ACKNOWLEDGED, CASES, GROUP_ID, NASTY, NOTE, RESOLVED, SNOOZED, matches_golden, notes
from tests.channels.slack_rules import acceptable, pings, strings

CONFIG = slack.Config(bot_token="xoxb-test", channel="#oncall", signing_secret="s3cret")
RECEIPT = {"ts": "1772359261.000100", "channel": "C0ONCALL", "to": "#oncall"}


def call(note: Note, receipt: dict[str, str] | None = None, config: slack.Config = CONFIG) -> HttpCall:
    (step,) = slack.compose(config, note, receipt or {})
    assert isinstance(step, HttpCall)
    return step


def body(note: Note, receipt: dict[str, str] | None = None, config: slack.Config = CONFIG) -> dict[str, Any]:
    found = msgspec.json.decode(call(note, receipt, config).body)
    assert isinstance(found, dict)
    return found


def buttons(message: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        element["action_id"]: element
        for block in message.get("blocks", [])
        if block["type"] == "actions"
        for element in block["elements"]
    }


@pytest.mark.parametrize("name", CASES)
def test_messages_are_as_kept(name: str) -> None:
    receipt = {} if name.startswith(("first", "test")) else RECEIPT
    matches_golden("slack", name, slack.compose(CONFIG, CASES[name], receipt))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("receipt", [{}, RECEIPT])
def test_every_kept_message_is_one_slack_takes(name: str, receipt: dict[str, str]) -> None:
    acceptable(body(CASES[name], receipt))


def test_a_call_carries_the_token_and_may_go_where_the_operator_says() -> None:
    step = call(NOTE, config=replace(CONFIG, api_url="http://127.0.0.1:9/api"))
    assert step.url == "http://127.0.0.1:9/api/chat.postMessage"
    assert step.headers["Authorization"] == "Bearer xoxb-test"
    assert step.private_ok
    assert call(NOTE).url == "https://slack.com/api/chat.postMessage"


def test_the_buttons_name_the_group_and_the_verb() -> None:
    found = buttons(body(NOTE))
    assert list(found) == ["ack", "snooze", "snooze_for", "resolve"]
    assert {found[name]["value"] for name in ("ack", "snooze", "resolve")} == {GROUP_ID}
    assert found["ack"]["style"] == "primary"
    assert found["resolve"]["style"] == "danger"
    options = [option["value"] for option in found["snooze_for"]["options"]]
    assert options == [f"{GROUP_ID}:30", f"{GROUP_ID}:60", f"{GROUP_ID}:240", f"{GROUP_ID}:nine"]


@pytest.mark.parametrize(
    ("group", "expected"),
    [(ACKNOWLEDGED, ["snooze", "snooze_for", "resolve"]), (SNOOZED, ["unsnooze", "resolve"]), (RESOLVED, [])],
)
def test_the_buttons_follow_the_state(group: Any, expected: list[str]) -> None:
    message = body(replace(NOTE, kind="update", group=group), RECEIPT)
    assert list(buttons(message)) == expected


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (ACKNOWLEDGED, "Acknowledged by Ann Example"),
        (SNOOZED, "Snoozed until <!date^1772362800^{date_short_pretty} {time}|2026-03-01 12:00 CET>"),
        (RESOLVED, "Resolved by Ann Example"),
    ],
)
def test_the_message_says_who_acted(group: Any, words: str) -> None:
    message = body(replace(NOTE, kind="update", group=group), RECEIPT)
    assert words in message["blocks"][0]["text"]["text"]


def test_an_update_edits_the_message_and_pings_nobody() -> None:
    step = call(replace(NOTE, kind="update"), RECEIPT)
    message = msgspec.json.decode(step.body)
    assert step.url.endswith("/chat.update")
    assert (message["ts"], message["channel"]) == ("1772359261.000100", "C0ONCALL")
    assert pings(message) == set()


def test_an_update_keeps_the_delivery_id_of_the_post() -> None:
    """Slack keeps metadata that an edit does not name; another delivery's id there would hide the first's twin."""
    assert "metadata" not in body(replace(NOTE, kind="update"), RECEIPT)
    assert body(NOTE)["metadata"]["event_payload"]["delivery"] == NOTE.delivery_id


@pytest.mark.parametrize(
    ("kind", "broadcast", "expected"),
    [("repeat", True, {"<!here>"}), ("escalation", True, {"<!here>"}), ("resolved", False, set())],
)
def test_later_news_answers_in_the_thread(kind: Any, broadcast: bool, expected: set[str]) -> None:
    step = call(replace(NOTE, kind=kind, reason="nobody acknowledged for 15 minutes"), RECEIPT)
    message = msgspec.json.decode(step.body)
    assert step.url.endswith("/chat.postMessage")
    assert (message["thread_ts"], message["channel"]) == ("1772359261.000100", "C0ONCALL")
    assert message["reply_broadcast"] is broadcast
    assert pings(message) == expected
    assert ("ack" in buttons(message)) is (kind != "resolved")
    assert "nobody acknowledged for 15 minutes" in message["text"]


@pytest.mark.parametrize("kind", ["update", "repeat", "escalation", "resolved"])
def test_without_a_message_in_that_channel_it_is_a_whole_one(kind: Any) -> None:
    message = body(replace(NOTE, kind=kind))
    assert message["channel"] == "#oncall"
    assert "thread_ts" not in message
    assert "ts" not in message
    assert any(block.get("fields") for block in message["blocks"])


@pytest.mark.parametrize("kind", ["update", "escalation", "resolved"])
def test_a_channel_that_was_pointed_elsewhere_gets_a_message_of_its_own(kind: Any) -> None:
    message = body(replace(NOTE, kind=kind), {**RECEIPT, "to": "#old"})
    assert message["channel"] == "#oncall"
    assert "thread_ts" not in message


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("here", "<!here>"),
        ("@channel", "<!channel>"),
        ("S0ONCALL", "<!subteam^S0ONCALL>"),
        ("U0ANN, W0BOB", "<@U0ANN> <@W0BOB>"),
        ("<!everyone>", "&lt;!everyone&gt;"),
        ("@payments", "@payments"),
    ],
)
def test_mentions(wish: str, expected: str) -> None:
    message = body(replace(NOTE, mention=wish))
    assert message["text"].startswith(expected + " ")
    assert message["blocks"][0]["text"]["text"].startswith(expected + " ")


def test_without_a_mention_nobody_is_pinged() -> None:
    assert pings(body(replace(NOTE, mention=""))) == set()


def test_where_no_button_can_work_a_link_acknowledges() -> None:
    bare = replace(CONFIG, signing_secret="")
    assert any("https://alerts.example.com/l/token|" in text for text in strings(body(NOTE, config=bare)))
    assert not any("https://alerts.example.com/l/token" in text for text in strings(body(NOTE)))
    assert any("https://alerts.example.com/l/token|" in text for text in strings(body(replace(NOTE, plain=True))))


def test_plain_is_text_alone() -> None:
    for kind in ("first", "update", "repeat", "resolved", "test"):
        message = body(replace(NOTE, kind=kind, plain=True), RECEIPT)
        assert "blocks" not in message
        acceptable(message)


TEXT_FIELDS = (
    "title", "message", "severity", "source", "project", "environment", "acknowledged_by", "assignee", "resolved_by",
    "resolution_note", "runbook_url", "link", "memory",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["first", "update", "repeat", "escalation", "resolved", "test"])
@pytest.mark.parametrize("status", ["open", "acknowledged", "snoozed", "resolved"])
@pytest.mark.parametrize("plain", [False, True])
def test_nothing_a_sender_writes_pings_or_breaks_the_limits(kind: Any, status: Any, plain: bool) -> None:
    for nasty in NASTY:
        group = replace(NOTE.group, status=status, tags={nasty: nasty}, **dict.fromkeys(TEXT_FIELDS, nasty))
        note = replace(NOTE, kind=kind, group=group, reason=nasty, mention="", plain=plain)
        for receipt in ({}, RECEIPT):
            message = body(note, receipt)
            acceptable(message)
            assert pings(message) == set()


def test_what_is_cut_is_seen_to_be_cut() -> None:
    message = body(replace(NOTE, group=replace(NOTE.group, title="t" * 100_000, message="m" * 100_000)))
    head, excerpt = message["blocks"][0]["text"]["text"], message["blocks"][2]["text"]["text"]
    assert "…" in head
    assert "…```" in excerpt


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(note=notes)
def test_any_note_makes_a_message_slack_takes(note: Note) -> None:
    expected = {
        "here": {"<!here>"},
        "channel": {"<!channel>"},
        "S0ONCALL": {"<!subteam^S0ONCALL>"},
        "U0ANN W0BOB": {"<@U0ANN>", "<@W0BOB>"},
    }.get(note.mention, set())
    for receipt in ({}, RECEIPT):
        step = call(note, receipt)
        message = msgspec.json.decode(step.body)
        assert msgspec.json.encode(message) == step.body
        acceptable(message)
        assert pings(message) <= expected


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"bot_token": ""}, "bot_token"),
        ({"bot_token": "xapp-1-A"}, "bot_token"),
        ({"bot_token": "xoxb-1\n"}, "bot_token"),
        ({"bot_token": "xoxb-é"}, "bot_token"),
        ({"app_token": "xoxb-1"}, "app_token"),
        ({"signing_secret": "xoxb-1"}, "signing_secret"),
        ({"signing_secret": "a b"}, "signing_secret"),
        ({"channel": ""}, "channel"),
        ({"channel": "#"}, "channel"),
        ({"channel": "#a, #b"}, "channel"),
        ({"channel": "<!channel>"}, "channel"),
        ({"api_url": "http://169.254.169.254/"}, "api_url"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, str], path: str) -> None:
    assert [found for found, _ in slack.check(replace(CONFIG, **changes))] == [path]


@pytest.mark.parametrize("channel", ["#oncall", "C0ONCALL", "oncall", "#störungen", "D0123"])
def test_right_settings_pass(channel: str) -> None:
    assert slack.check(replace(CONFIG, channel=channel, app_token="xapp-1-A")) == []


def test_the_form_knows_titles_and_secrets() -> None:
    fields = {field.name: field.type for field in msgspec.inspect.type_info(slack.Config).fields}  # type: ignore[attr-defined]
    secret = {name for name, field in fields.items() if (getattr(field, "extra", None) or {}).get("secret")}
    assert secret == {"bot_token", "signing_secret", "app_token"}
    assert all(field.extra_json_schema["title"] for field in fields.values())
