"""Slack, with its limits enforced, takes every message that the Slack channel composes, however odd the alert."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from signalcraft.channels import slack as channel
from signalcraft.demo.slack import BOT_TOKEN, StandInThread
from signalcraft.domain.delivery import GroupView, HttpCall, Note, Refused, Reply, Sent
from signalcraft.domain.event import LINK_MAX, MESSAGE_MAX, TAG_KEY_MAX, TAG_VALUE_MAX, TAGS_MAX, TEXT_MAX, TITLE_MAX
from tests.demo.conftest import START_MS, Clock

ODD = ["x", "&", "<", "`", "*", "\u00e9", "\U0001f525", "\n", "<!channel> "]
STATES: list[dict[str, Any]] = [
    {"status": "open"},
    {"status": "acknowledged"},
    {"status": "snoozed", "snoozed_until_ms": START_MS + 3_600_000},
    {"status": "resolved", "resolved_ms": START_MS},
]


def _longest(fill: str, state: dict[str, Any]) -> GroupView:
    def text(limit: int) -> str:
        return (fill * limit)[:limit]

    return GroupView(
        id="0123456789abc",
        title=text(TITLE_MAX),
        message=text(MESSAGE_MAX),
        severity="critical",
        source="sentry",
        project=text(TEXT_MAX),
        environment=text(TEXT_MAX),
        count=10**9,
        episode=99,
        first_seen_ms=0,
        last_seen_ms=START_MS,
        acknowledged_by=text(TEXT_MAX),
        assignee=text(TEXT_MAX),
        resolved_by=text(TEXT_MAX),
        resolution_note=text(2000),
        users_affected=10**9,
        velocity_per_hour=1e9,
        runbook_url="https://example.com/" + "r" * (LINK_MAX - 20),
        link="https://example.com/" + "l" * (LINK_MAX - 20),
        memory=text(2000),
        tags={f"{n:03d}{text(TAG_KEY_MAX - 3)}": text(TAG_VALUE_MAX) for n in range(TAGS_MAX)},
        **state,
    )


@pytest.mark.parametrize("fill", ODD, ids=[repr(fill) for fill in ODD])
def test_the_longest_alert_is_posted_and_edited(slack: StandInThread, clock: Clock, fill: str) -> None:
    config = channel.Config(bot_token=BOT_TOKEN, signing_secret="s", channel="C0ONCALL", api_url=slack.it.base_url)
    receipt: dict[str, str] = {}
    for kind in ("first", "update", "repeat", "escalation", "resolved", "test"):
        for state in STATES:
            clock.after(10)
            note = Note(
                kind=kind,
                delivery_id="0123456789abd",
                group=_longest(fill, state),
                now_ms=clock.ms,
                mention="here",
                reason=(fill * 500)[:500],
                page_url="https://signalcraft.example.com/groups/0123456789abc",
                timezone="Europe/Berlin",
            )
            for step in channel.compose(config, note, receipt):
                assert isinstance(step, HttpCall)
                response = httpx.request(step.method, step.url, headers=step.headers, content=step.body)
                reply = Reply(status=response.status_code, headers=dict(response.headers), body=response.content)
                outcome = channel.judge(config, note, step, reply)
                assert isinstance(outcome, Sent), (kind, state["status"], response.text[:500])
                receipt |= outcome.receipt
    assert slack.it.refused_429 == 0
    assert all("<!channel>" not in m.words.replace("&lt;!channel&gt;", "") for m in slack.it.messages("oncall"))


def test_a_refusal_of_the_blocks_is_no_outage(slack: StandInThread, clock: Clock) -> None:
    """One message that Slack refuses must not break the channel."""
    config = channel.Config(bot_token=BOT_TOKEN, signing_secret="s", channel="C0ONCALL", api_url=slack.it.base_url)
    note = Note(kind="first", delivery_id="d", group=_longest("x", STATES[0]), now_ms=clock.ms)
    [step] = channel.compose(config, note, {})
    assert isinstance(step, HttpCall)
    slack.it.fail("chat.postMessage", "invalid_blocks", times=1)
    response = httpx.request(step.method, step.url, headers=step.headers, content=step.body)
    reply = Reply(status=response.status_code, headers=dict(response.headers), body=response.content)
    assert isinstance(channel.judge(config, note, step, reply), Refused)
