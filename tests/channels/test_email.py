"""Mails: exact ones, threads, headers that cannot be forged, and what a server's codes mean."""

from __future__ import annotations

import email
import email.policy
import html.parser
from email.message import EmailMessage
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from signalcraft.channels import email as channel
from signalcraft.domain.delivery import Broken, Mail, Note, Outcome, Refused, Reply, Retry, Sent
from tests.channels.notes import ACKNOWLEDGED, CASES, GROUP_ID, NASTY, NOTE, RESOLVED, matches_golden, notes

CONFIG = channel.Config(
    host="smtp.example.com",
    username="signalcraft",
    password="hunter2-mail",
    sender="SignalCraft <alerts@example.com>",
    recipients=["oncall@example.com", "lead@example.com"],
)
HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "X-SignalCraft-Group", "Auto-Submitted",
    "X-Auto-Response-Suppress", "Importance", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}  # fmt: skip


def mail(note: Note, receipt: dict[str, str] | None = None, config: channel.Config = CONFIG) -> Mail:
    (step,) = channel.compose(config, note, receipt or {})
    assert isinstance(step, Mail)
    return step


def read(step: Mail) -> EmailMessage:
    return email.message_from_bytes(step.message, policy=email.policy.SMTP)  # type: ignore[return-value]


def part(step: Mail, kind: str) -> str:
    found = read(step).get_body((kind,))
    assert found is not None
    return str(found.get_content())


@pytest.mark.parametrize("name", CASES)
def test_mails_are_as_kept(name: str) -> None:
    matches_golden("email", name, channel.compose(CONFIG, CASES[name], {}))


def test_the_envelope_is_that_of_the_settings() -> None:
    step = mail(NOTE)
    assert (step.host, step.port, step.security) == ("smtp.example.com", 587, "starttls")
    assert (step.username, step.password) == ("signalcraft", "hunter2-mail")
    assert (step.sender, step.recipients) == ("alerts@example.com", ["oncall@example.com", "lead@example.com"])
    assert b"hunter2-mail" not in step.message


def test_an_update_is_not_mailed() -> None:
    assert channel.compose(CONFIG, replace(NOTE, kind="update"), {}) == []
    assert not channel.EDITS


def test_it_says_that_a_machine_wrote_it() -> None:
    found = read(mail(NOTE))
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["X-Auto-Response-Suppress"] == "All"
    assert found["Date"] == "Sun, 01 Mar 2026 10:01:01 +0000"


def test_both_parts_say_it_all() -> None:
    step = mail(NOTE)
    for kind in ("plain", "html"):
        text = part(step, kind)
        for words in ("TypeError in checkout", "CRITICAL", "production", "1,204", "2026-03-01 11:00 CET", NOTE.ack_url,
                      NOTE.page_url, "Resolved 3 times before", "checkout.js:41"):  # fmt: skip
            assert words in text, (kind, words)
    assert "https://wiki.example.com/runbooks/checkout?step=1&of=2" in part(step, "plain")
    assert "https://wiki.example.com/runbooks/checkout?step=1&amp;of=2" in part(step, "html")


def test_who_acted_is_said_and_no_second_ack_is_offered() -> None:
    text = part(mail(replace(NOTE, kind="escalation", group=ACKNOWLEDGED)), "plain")
    assert "acknowledged by Ann Example" in text
    assert NOTE.ack_url not in text


def test_a_resolution_says_by_whom_and_how() -> None:
    text = part(mail(replace(NOTE, kind="resolved", group=RESOLVED)), "plain")
    assert "Resolved by Ann Example after 3 h 20 min" in text
    assert "Note: rolled back" in text


def test_plain_is_text_alone() -> None:
    found = read(mail(replace(NOTE, plain=True)))
    assert not found.is_multipart()


def chain(*kept: Note) -> list[EmailMessage]:
    """The mails of one group's notes, each with the receipt of the one before."""
    receipt: dict[str, str] = {}
    found = []
    for note in kept:
        step = mail(note, receipt)
        outcome = channel.judge(CONFIG, note, step, Reply(status=250))
        assert isinstance(outcome, Sent)
        receipt = outcome.receipt
        found.append(read(step))
    return found


def test_a_group_is_one_thread() -> None:
    first, escalation, resolved = chain(
        NOTE,
        replace(NOTE, kind="escalation", delivery_id="dlv2", reason="nobody acknowledged for 15 minutes"),
        replace(NOTE, kind="resolved", delivery_id="dlv3", group=replace(RESOLVED, title="Another title by now")),
    )
    assert first["Subject"] == "[CRITICAL] TypeError in checkout — shop/production"
    assert first["Message-ID"] == f"<{GROUP_ID}.1.dlv0000000001@example.com>"
    for later in (escalation, resolved):
        assert later["In-Reply-To"] == first["Message-ID"]
        assert first["Message-ID"] in later["References"].split()
        assert later["Subject"] == "Re: " + first["Subject"]
    assert len({m["Message-ID"] for m in (first, escalation, resolved)}) == 3


def test_two_channels_mails_of_one_group_share_an_anchor() -> None:
    other = replace(CONFIG, recipients=["boss@example.com"])
    here, there = read(mail(NOTE)), read(mail(replace(NOTE, delivery_id="dlv9", kind="escalation"), config=other))
    assert here["References"].split()[0] == there["References"].split()[0]


def test_the_same_delivery_is_the_same_mail_on_every_try() -> None:
    """After a lost answer the mail goes out again; a reader shows one Message-ID once."""
    again = replace(NOTE, now_ms=NOTE.now_ms + 60_000)
    assert read(mail(NOTE))["Message-ID"] == read(mail(again))["Message-ID"]


def test_a_new_severity_gets_a_new_subject_in_the_old_thread() -> None:
    low = replace(NOTE, group=replace(NOTE.group, severity="medium"))
    first, risen, resolved = chain(
        low, replace(NOTE, kind="repeat", delivery_id="d2"), replace(NOTE, kind="resolved", delivery_id="d3")
    )
    assert first["Subject"].startswith("[MEDIUM]")
    assert risen["Subject"] == "[CRITICAL] TypeError in checkout — shop/production"
    assert risen["In-Reply-To"] == resolved["In-Reply-To"] == first["Message-ID"]
    assert resolved["Subject"] == "Re: " + risen["Subject"]


def test_a_receipt_from_elsewhere_forges_nothing() -> None:
    found = read(
        mail(NOTE, {"message_id": "<a@b>\r\nBcc: x@example.com", "subject": "[CRITICAL] x\r\nBcc: y@example.com"})
    )
    assert set(found.keys()) <= HEADERS
    assert found["In-Reply-To"] == f"<{GROUP_ID}@example.com>"


TEXT_FIELDS = (
    "title", "message", "severity", "source", "project", "environment", "acknowledged_by", "assignee", "resolved_by",
    "resolution_note", "runbook_url", "link", "memory",
)  # fmt: skip


class Tags(html.parser.HTMLParser):
    """Collects what a mail reader would see as markup."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value or "" for name, value in attrs if name == "href"]


def harmless(step: Mail) -> None:
    """Asserts that the mail has our headers and our markup alone, and lines that SMTP can carry."""
    found = read(step)
    assert set(found.keys()) <= HEADERS, found.keys()
    assert found["To"] == "oncall@example.com, lead@example.com"
    assert not found.defects
    assert all(len(line) <= 998 for line in step.message.split(b"\r\n"))
    assert step.message.isascii()
    assert b"\n" not in step.message.replace(b"\r\n", b"")
    assert len(str(found["Subject"])) <= 204
    if found.is_multipart():
        tags = Tags()
        tags.feed(part(step, "html"))
        assert tags.found <= {
            "html", "head", "meta", "body", "p", "span", "h2", "strong", "table", "tr", "th", "td", "pre", "a",
        }  # fmt: skip
        assert tags.attributes <= {"lang", "charset", "style", "role", "href"}
        assert all(target.startswith(("http://", "https://")) for target in tags.targets)


@pytest.mark.parametrize("kind", ["first", "repeat", "escalation", "resolved", "test"])
@pytest.mark.parametrize("status", ["open", "acknowledged", "resolved"])
def test_nothing_a_sender_writes_forges_a_header_or_a_tag(kind: Any, status: Any) -> None:
    for nasty in NASTY:
        group = replace(NOTE.group, status=status, tags={nasty: nasty}, **dict.fromkeys(TEXT_FIELDS, nasty))
        harmless(mail(replace(NOTE, kind=kind, group=group, reason=nasty)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(note=notes)
def test_any_note_makes_a_mail(note: Note) -> None:
    for step in channel.compose(CONFIG, note, {}):
        assert isinstance(step, Mail)
        harmless(step)
        outcome = channel.judge(CONFIG, note, step, Reply(status=250))
        assert isinstance(outcome, Sent)
        harmless(mail(replace(note, kind="resolved", delivery_id="later"), outcome.receipt))


def judged(status: int, phase: str = "", text: str = "", refused: dict[str, str] | None = None, **more: str) -> Outcome:
    body = msgspec.json.encode({"text": text, "refused": refused or {}})
    headers = {"smtp-phase": phase, **more} if phase else more
    return channel.judge(CONFIG, NOTE, mail(NOTE), Reply(status=status, headers=headers, body=body))


def test_taken() -> None:
    found = judged(250, "data", "queued as 4711")
    assert found == Sent(
        {
            "message_id": f"<{GROUP_ID}.1.dlv0000000001@example.com>",
            "subject": "[CRITICAL] TypeError in checkout — shop/production",
        }
    )


def test_taken_for_some() -> None:
    found = judged(250, "data", "ok", {"lead@example.com": "550 no such user"})
    assert isinstance(found, Sent)
    assert found.receipt["refused"] == "lead@example.com: 550 no such user"


@pytest.mark.parametrize(
    ("status", "phase", "expected"),
    [
        (421, "connect", Retry),
        (450, "rcpt", Retry),
        (451, "data", Retry),
        (454, "auth", Retry),
        (535, "auth", Broken),
        (530, "mail", Broken),
        (534, "auth", Broken),
        (504, "auth", Broken),
        (554, "connect", Broken),
        (550, "rcpt", Broken),
        (550, "", Broken),
        (553, "rcpt", Broken),
        (554, "rcpt", Broken),
        (552, "rcpt", Refused),
        (550, "mail", Broken),
        (552, "mail", Refused),
        (554, "data", Refused),
        (550, "data", Refused),
        (552, "", Refused),
        (500, "", Refused),
    ],
)
def test_codes(status: int, phase: str, expected: type) -> None:
    found = judged(status, phase, "5.7.1 said the server")
    assert isinstance(found, expected)
    assert "said the server" in found.why  # type: ignore[union-attr]


def test_a_server_that_could_not_be_asked_is_tried_again() -> None:
    for body in (b"", b"not json", b"[" * 100_000):
        reply = Reply(status=0, error="the mail server hung up", body=body)
        found = channel.judge(CONFIG, NOTE, mail(NOTE), reply)
        assert found == Retry("the mail server could not be asked: the mail server hung up")


def test_a_server_that_lacks_what_is_asked_needs_a_person() -> None:
    reply = Reply(status=0, headers={"smtp-lacks": "STARTTLS"}, error="the mail server offers no STARTTLS")
    assert isinstance(channel.judge(CONFIG, NOTE, mail(NOTE), reply), Broken)


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"host": ""}, ["host"]),
        ({"host": "smtp example"}, ["host"]),
        ({"host": "smtp\r\nx"}, ["host"]),
        ({"sender": "nobody"}, ["sender"]),
        ({"sender": "a@b\r\nBcc: c@d"}, ["sender"]),
        ({"sender": "Störung <störung@example.com>"}, ["sender"]),
        ({"recipients": []}, ["recipients"]),
        ({"recipients": ["a@example.com"] * 51}, ["recipients"]),
        ({"recipients": ["a@example.com", "b"]}, ["recipients.1"]),
        ({"recipients": ["a@example.com, c@example.com"]}, ["recipients.0"]),
        ({"recipients": ["a@b>\r\nRCPT TO:<c@d"]}, ["recipients.0"]),
        ({"recipients": ["a" * 250 + "@example.com"]}, ["recipients.0"]),
        ({"username": ""}, ["username"]),
        ({"password": ""}, ["password"]),
        ({"security": "none"}, ["security"]),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], paths: list[str]) -> None:
    assert [path for path, _ in channel.check(replace(CONFIG, **changes))] == paths


def test_right_settings_pass() -> None:
    assert channel.check(CONFIG) == []
    assert channel.check(replace(CONFIG, security="none", host="127.0.0.1")) == []
    assert channel.check(replace(CONFIG, security="none", username="", password="")) == []
    assert channel.check(replace(CONFIG, sender="alerts@example.com")) == []


def test_types_are_checked_by_the_struct() -> None:
    plain = {"host": "h", "sender": "a@b", "recipients": ["c@d"]}
    assert msgspec.convert(plain, channel.Config).port == 587
    for wrong in ({"port": 0}, {"port": 70_000}, {"security": "ssl"}, {"recipients": "c@d"}, {"colour": "red"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**plain, **wrong}, channel.Config)
