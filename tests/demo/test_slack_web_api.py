"""The stand-in answers as Slack does: codes, ids, limits."""

from __future__ import annotations

import re
from typing import Any

import pytest

from signalcraft.demo.slack import APP_TOKEN, StandInThread
from tests.demo.conftest import Clock, WebClient, buttons


def test_a_post_is_kept_with_its_time_and_answered_with_channel_id_and_ts(
    slack: StandInThread, web: WebClient, clock: Clock
) -> None:
    answer = web("chat.postMessage", channel="#oncall", text="one")
    assert (answer["ok"], answer["channel"]) == (True, "C0ONCALL")
    assert re.fullmatch(r"\d{10}\.\d{6}", answer["ts"])
    [message] = slack.it.messages("#oncall")
    assert (message.ts, message.text, message.at_ms, message.edits) == (answer["ts"], "one", clock.ms, 0)
    assert [(c.method, c.channel, c.result) for c in slack.it.calls] == [("chat.postMessage", "#oncall", "ok")]


def test_channels_go_by_id_by_name_and_with_a_hash(slack: StandInThread, web: WebClient) -> None:
    for name in ("team-leads", "#team-leads", "C0TEAMLEADS"):
        web.post(name)
    assert len(slack.it.messages("team-leads")) == 3


def test_ts_is_unique_and_grows_also_within_one_millisecond(slack: StandInThread, web: WebClient) -> None:
    stamps = [web.post() for _ in range(3)]
    assert stamps == sorted(set(stamps))


def test_a_form_body_is_taken_as_json_is(slack: StandInThread, web: WebClient) -> None:
    form = {"channel": "#oncall", "text": "hi", "blocks": '[{"type":"divider"}]', "token": web.token}
    assert web.http.post("chat.postMessage", data=form).json()["ok"]
    assert slack.it.messages("oncall")[0].blocks[0]["type"] == "divider"


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"channel": "#nowhere", "text": "x"}, "channel_not_found"),
        ({"channel": "#oncall"}, "no_text"),
        ({"channel": "#oncall", "text": ""}, "no_text"),
        ({"text": "x"}, "invalid_arguments"),
        ({"channel": "#oncall", "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": "#oncall", "text": "x", "blocks": "{"}, "invalid_blocks_format"),
        ({"channel": "#oncall", "text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"channel": "#oncall", "text": "x", "thread_ts": "soon"}, "invalid_thread_ts"),
        ({"channel": "#oncall", "text": "x", "thread_ts": "1600000000.000100"}, "thread_not_found"),
    ],
)
def test_what_a_post_is_refused_for(slack: StandInThread, web: WebClient, args: dict[str, Any], error: str) -> None:
    response = web.raw("chat.postMessage", **args)
    assert response.status_code == 200  # Slack's errors are 200 with ok false
    assert response.json()["ok"] is False
    assert response.json()["error"] == error
    assert slack.it.messages("oncall") == []


def test_blocks_above_the_undocumented_total_are_too_long(web: WebClient) -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}
    assert web("chat.postMessage", channel="#oncall", text="x", blocks=[block] * 4)["ok"]
    assert web("chat.postMessage", channel="#oncall", text="x", blocks=[block] * 5)["error"] == "msg_blocks_too_long"


def test_archived_and_not_a_member(slack: StandInThread, web: WebClient) -> None:
    slack.it.archive("#oncall")
    assert web("chat.postMessage", channel="#oncall", text="x")["error"] == "is_archived"
    slack.it.expel("team-leads")
    assert web("chat.postMessage", channel="#team-leads", text="x")["error"] == "not_in_channel"
    slack.it.add_channel("secret", private=True, member=False)
    assert web("chat.postMessage", channel="#secret", text="x")["error"] == "channel_not_found"


def test_tokens_are_checked(slack: StandInThread, web: WebClient) -> None:
    good = web.token
    assert web.http.post("auth.test").json()["error"] == "not_authed"
    web.token = "xoxb-wrong"
    assert web("auth.test")["error"] == "invalid_auth"
    web.token = APP_TOKEN
    assert web("auth.test")["error"] == "not_allowed_token_type"
    web.token = good
    assert web("apps.connections.open")["error"] == "not_allowed_token_type"
    assert web("auth.test")["ok"]
    slack.it.revoke(good)
    assert web("auth.test")["error"] == "token_revoked"
    slack.it.accept(good)
    assert web("auth.test")["ok"]


def test_bodies_that_slack_cannot_read(web: WebClient) -> None:
    headers = {"Authorization": f"Bearer {web.token}", "Content-Type": "application/json"}
    assert web.http.post("auth.test", content=b"{", headers=headers).json()["error"] == "invalid_json"
    assert web.http.post("auth.test", content=b"[]", headers=headers).json()["error"] == "json_not_object"
    headers["Content-Type"] = "application/xml"
    assert web.http.post("auth.test", content=b"<a/>", headers=headers).json()["error"] == "invalid_post_type"
    assert web("chat.nonsense")["error"] == "unknown_method"


# ------------------------------------------------------------------------------------------------------------- edits


def test_an_edit_keeps_what_was_said_before_with_its_time(slack: StandInThread, web: WebClient, clock: Clock) -> None:
    ts = web.post(text="one", blocks=buttons("ack"))
    clock.after(5)
    answer = web("chat.update", channel="C0ONCALL", ts=ts, text="two", blocks=buttons("resolve"))
    assert (answer["ok"], answer["text"]) == (True, "two")
    [message] = slack.it.messages("oncall")
    assert [v.text for v in message.history] == ["one", "two"]
    assert message.history[1].at_ms - message.history[0].at_ms == 5000
    assert message.buttons == ["resolve"]


def test_an_edit_keeps_the_blocks_it_does_not_speak_of(slack: StandInThread, web: WebClient) -> None:
    ts = web.post(blocks=buttons("ack"))
    web("chat.update", channel="C0ONCALL", ts=ts, text="two")
    assert slack.it.messages("oncall")[0].buttons == ["ack"]
    web("chat.update", channel="C0ONCALL", ts=ts, text="three", blocks=[])
    assert slack.it.messages("oncall")[0].buttons == []


def test_an_edit_needs_the_channel_id_the_ts_and_ones_own_message(slack: StandInThread, web: WebClient) -> None:
    ts = web.post()
    assert web("chat.update", channel="#oncall", ts=ts, text="x")["error"] == "channel_not_found"
    assert web("chat.update", channel="C0ONCALL", ts="1.000000", text="x")["error"] == "message_not_found"
    theirs = slack.it.say("oncall", "Kim", "mine")
    assert web("chat.update", channel="C0ONCALL", ts=theirs.ts, text="x")["error"] == "cant_update_message"


def test_an_edit_takes_a_tenth_of_the_text_in_bytes(web: WebClient) -> None:
    ts = web.post()
    assert web("chat.update", channel="C0ONCALL", ts=ts, text="x" * 4000)["ok"]
    assert web("chat.update", channel="C0ONCALL", ts=ts, text="\u00e9" * 2001)["error"] == "msg_too_long"


def test_replies_go_to_the_thread_and_broadcasts_to_the_channel_too(slack: StandInThread, web: WebClient) -> None:
    parent = web.post(text="parent")
    web.post(text="quiet", thread_ts=parent)
    loud = web.post(text="loud", thread_ts=parent, reply_broadcast=True)
    history = web("conversations.history", channel="C0ONCALL")["messages"]
    assert [m["text"] for m in history] == ["loud", "parent"]
    thread = web("conversations.replies", channel="C0ONCALL", ts=parent)["messages"]
    assert [m["text"] for m in thread] == ["parent", "quiet", "loud"]
    assert web("chat.postMessage", channel="#team-leads", text="x", thread_ts=parent)["error"] == "thread_not_found"
    assert slack.it.messages("oncall")[2].broadcast
    assert loud > parent


def test_history_can_be_searched_for_what_was_perhaps_sent(web: WebClient, clock: Clock) -> None:
    metadata = {"event_type": "signalcraft", "event_payload": {"delivery": "d1"}}
    first = web.post(text="a", metadata=metadata)
    clock.after(10)
    second = web.post(text="b")
    found = web("conversations.history", channel="C0ONCALL", oldest=first, include_all_metadata=True)
    assert [m["ts"] for m in found["messages"]] == [second]
    found = web("conversations.history", channel="C0ONCALL", oldest=first, inclusive=True, include_all_metadata=True)
    assert found["messages"][-1]["metadata"] == metadata


def test_an_ephemeral_message_is_seen_by_one(slack: StandInThread, web: WebClient) -> None:
    answer = web("chat.postEphemeral", channel="#oncall", user="U0SAM", text="psst")
    assert answer["ok"]
    [message] = slack.it.messages("oncall")
    assert (message.visible_to, message.ts) == ("U0SAM", answer["message_ts"])
    assert web("conversations.history", channel="C0ONCALL")["messages"] == []
    assert web("chat.postEphemeral", channel="#oncall", user="U0X", text="x")["error"] == "user_not_in_channel"


def test_people_and_channels_can_be_looked_up(slack: StandInThread, web: WebClient) -> None:
    assert web("users.lookupByEmail", email="kim@example.com")["user"]["id"] == "U0KIM"
    assert web("users.lookupByEmail", email="nobody@example.com")["error"] == "users_not_found"
    slack.it.add_channel("quiet", private=True)
    first = web("conversations.list", limit=1, types="public_channel,private_channel")
    assert [c["name"] for c in first["channels"]] == ["oncall"]
    rest = web("conversations.list", cursor=first["response_metadata"]["next_cursor"], types="public_channel")
    assert [c["id"] for c in rest["channels"]] == ["C0TEAMLEADS"]


def test_an_oauth_code_is_good_once(slack: StandInThread, web: WebClient) -> None:
    code = slack.it.grant()
    auth = ("demo.client", "demo-client-secret")
    answer = web.http.post("oauth.v2.access", data={"code": code}, auth=auth).json()
    web.token = answer["access_token"]
    assert web("auth.test")["ok"]
    assert web.http.post("oauth.v2.access", data={"code": code}, auth=auth).json()["error"] == "code_already_used"
    assert web.http.post("oauth.v2.access", data={"code": "x"}, auth=auth).json()["error"] == "invalid_code"
    wrong = web.http.post("oauth.v2.access", data={"code": code}, auth=("demo.client", "no")).json()
    assert wrong["error"] == "bad_client_secret"


# ------------------------------------------------------------------------------------------------------------- limits


def test_a_channel_takes_three_at_once_and_one_a_second(slack: StandInThread, web: WebClient, clock: Clock) -> None:
    for _ in range(3):
        web.post()
    refused = web.raw("chat.postMessage", channel="#oncall", text="x")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.json() == {"ok": False, "error": "ratelimited"}
    web.post("#team-leads")  # another channel has its own
    clock.after(0.9)
    assert web.raw("chat.postMessage", channel="#oncall", text="x").status_code == 429
    clock.after(0.1)
    web.post()
    assert web.raw("chat.postMessage", channel="#oncall", text="x").status_code == 429
    clock.after(60)
    for _ in range(3):
        web.post()
    assert slack.it.refused_429 == 3
    assert len(slack.it.messages("oncall")) == 7


def test_a_token_edits_fifty_times_a_minute(slack: StandInThread, web: WebClient, clock: Clock) -> None:
    ts = web.post()
    for n in range(50):
        assert web("chat.update", channel="C0ONCALL", ts=ts, text=f"{n}")["ok"]
        clock.after(1)
    refused = web.raw("chat.update", channel="C0ONCALL", ts=ts, text="x")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "10")
    clock.after(10)
    assert web("chat.update", channel="C0ONCALL", ts=ts, text="later")["ok"]
    assert web.raw("chat.update", channel="C0ONCALL", ts=ts, text="x").status_code == 429
    assert slack.it.messages("oncall")[0].edits == 51
