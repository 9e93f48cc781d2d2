"""What Slack's answers mean, code by code."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from signalcraft.channels import slack
from signalcraft.channels.slack.errors import BROKEN, GONE, REFUSED, RETRY
from signalcraft.domain.delivery import Broken, Outcome, Refused, Reply, Retry, Sent
from tests.channels.notes import NOTE

CONFIG = slack.Config(bot_token="xoxb-test", channel="#oncall")
RECEIPT = {"ts": "1772359261.000100", "channel": "C0ONCALL", "to": "#oncall"}


def judged(reply: Reply, *, kind: str = "first", receipt: dict[str, str] | None = None) -> Outcome:
    note = replace(NOTE, kind=kind)
    (step,) = slack.compose(CONFIG, note, receipt or {})
    return slack.judge(CONFIG, note, step, reply)


def said(status: int = 200, headers: dict[str, str] | None = None, **body: object) -> Reply:
    return Reply(status=status, headers=headers or {}, body=msgspec.json.encode(body))


OK = {"ok": True, "ts": "1772359261.000100", "channel": "C0ONCALL", "message": {}}


def test_the_receipt_is_the_message() -> None:
    assert judged(said(**OK)) == Sent(RECEIPT)


@pytest.mark.parametrize("kind", ["repeat", "escalation", "resolved"])
def test_an_answer_in_the_thread_leaves_the_receipt_as_it_was(kind: str) -> None:
    reply = said(ok=True, ts="1779999999.000900", channel="C0ONCALL")
    assert judged(reply, kind=kind, receipt=RECEIPT) == Sent(RECEIPT)


def test_an_edit_leaves_the_receipt_as_it_was() -> None:
    assert judged(said(**OK), kind="update", receipt=RECEIPT) == Sent(RECEIPT)


def test_a_ts_that_is_a_number_is_no_receipt() -> None:
    assert judged(said(ok=True, ts=1772359261.0001, channel="C0ONCALL")) == Sent({})


@pytest.mark.parametrize(
    ("header", "after_s"),
    [
        ("30", 30.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("1e9", 3600.0),
        ("inf", 3600.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Sun, 01 Mar 2026 10:02:01 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_a_pause_is_as_long_as_slack_says(header: str, after_s: float | None) -> None:
    for name in ("retry-after", "Retry-After"):
        found = judged(said(429, {name: header}, ok=False, error="ratelimited"))
        assert isinstance(found, Retry)
        assert found.after_s == (pytest.approx(after_s) if after_s is not None else None)


def test_a_pause_without_a_body_is_a_pause_too() -> None:
    assert judged(Reply(status=429, headers={"retry-after": "7"})) == Retry(
        "Slack asks for a pause (ratelimited)", after_s=7.0
    )


TRANSIENT = ["ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "rate_limited"]
INSTALLATION = [
    "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope",
    "org_login_required", "not_allowed_token_type", "ekm_access_denied",
]  # fmt: skip
DESTINATION = ["channel_not_found", "not_in_channel", "is_archived", "restricted_action"]
PAYLOAD = ["invalid_blocks", "msg_too_long", "no_text", "invalid_arguments"]
LOST = ["message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"]


@pytest.mark.parametrize("code", TRANSIENT)
def test_what_passes_is_tried_again(code: str) -> None:
    found = judged(said(ok=False, error=code))
    assert isinstance(found, Retry)
    assert code in found.why


@pytest.mark.parametrize("code", INSTALLATION + DESTINATION)
def test_what_a_person_must_mend_breaks_the_channel(code: str) -> None:
    found = judged(said(ok=False, error=code))
    assert isinstance(found, Broken)
    assert found.why.endswith(f"({code})")
    assert "{" not in found.why
    assert len(found.why) > len(code) + 20, "in words, and what to do"


def test_the_sentences_say_what_to_do() -> None:
    found = judged(said(ok=False, error="not_in_channel"))
    assert found == Broken(
        "the bot is not in #oncall: invite the bot: /invite @SignalCraft in the channel (not_in_channel)"
    )
    scope = judged(said(ok=False, error="missing_scope", needed="chat:write", provided="commands"))
    assert isinstance(scope, Broken)
    assert scope.why.startswith("the bot lacks chat:write, it has commands: add it under OAuth & Permissions")


@pytest.mark.parametrize("code", PAYLOAD)
def test_what_is_wrong_with_the_message_is_refused(code: str) -> None:
    found = judged(said(ok=False, error=code))
    assert isinstance(found, Refused)
    assert not found.gone


def test_a_refused_layout_says_where() -> None:
    found = judged(
        said(ok=False, error="invalid_blocks", response_metadata={"messages": ["[ERROR] must be less than 3001"]})
    )
    assert found == Refused("Slack refused the layout (invalid_blocks): [ERROR] must be less than 3001")


@pytest.mark.parametrize("code", LOST)
def test_a_lost_message_wants_a_fresh_post(code: str) -> None:
    found = judged(said(ok=False, error=code), kind="update", receipt=RECEIPT)
    assert isinstance(found, Refused)
    assert found.gone


def test_every_code_has_one_meaning() -> None:
    tables = [BROKEN, GONE, REFUSED, RETRY]
    assert sum(map(len, tables)) == len({code for table in tables for code in table})


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=0, error="no answer within 15 s", sent_maybe=True),
        Reply(status=500, body=b'{"ok":false,"error":"invalid_auth"}'),
        Reply(status=503, body=b"<html>"),
        Reply(status=200, body=b"<html>Sign in to the guest network</html>"),
        Reply(status=200, body=b""),
        Reply(status=200, body=b"[]"),
        Reply(status=200, body=b'{"ok":"true"}'),
        Reply(status=200, body=b"\xff\xfe"),
        Reply(status=200, body=b"[" * 100_000),
        Reply(status=200, body=b'{"ok":false}'),
        Reply(status=200, body=b'{"ok":false,"error":{"code":"invalid_auth"}}'),
        Reply(status=200, body=b'{"ok":false,"error":"something_slack_thought_of_later"}'),
        Reply(status=302, headers={"location": "https://portal.example"}, body=b""),
        Reply(status=404, body=b"not found"),
        Reply(status=404, body=b'{"ok":true}'),
    ],
)
def test_what_nobody_can_read_is_tried_again(reply: Reply) -> None:
    assert isinstance(judged(reply), Retry)


def test_a_code_is_believed_whatever_the_status() -> None:
    assert isinstance(judged(said(403, ok=False, error="invalid_auth")), Broken)


def test_no_outcome_quotes_the_token() -> None:
    for code in [*BROKEN, *GONE, *REFUSED, *RETRY]:
        assert "xoxb-test" not in repr(judged(said(ok=False, error=code)))
