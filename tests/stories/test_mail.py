"""Told by mail: one thread a group, a fallback that is no Slack, an hour without the mail server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.standins import LOCALHOST_PEM, LoopThread, ReceivedMail, SmtpStandIn
from tests.world import BOT_TOKEN, World

PASSWORD = "the-password-of-the-postbox"


@pytest.fixture
def smtp() -> Iterator[SmtpStandIn]:
    """A mail server that wants STARTTLS and a password."""
    with LoopThread(SmtpStandIn(security="starttls", users={"postbox": PASSWORD})) as thread:
        yield thread.it


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A box that trusts the mail server's certificate."""
    with World(tmp_path / "data", **{"outbound.ca_file": str(LOCALHOST_PEM)}) as it:
        yield it


def mailed(world: World, smtp: SmtpStandIn, name: str = "mail") -> None:
    world.channel(
        name, kind="email", host="127.0.0.1", port=smtp.port, sender="SignalCraft <box@example.com>",
        recipients=["kim@example.com", "sam@example.com"], username="postbox", password=PASSWORD,
    )  # fmt: skip


def subjects(smtp: SmtpStandIn) -> list[str]:
    return [str(mail.message["Subject"]) for mail in smtp.mails]


def thread(mail: ReceivedMail) -> tuple[str, list[str]]:
    """(its own id, the ids it refers to)."""
    return str(mail.message["Message-ID"]), str(mail.message["References"]).split()


def test_a_group_is_one_thread_from_its_first_mail_to_its_last(world: World, smtp: SmtpStandIn) -> None:
    mailed(world, smtp)
    world.rule("", "mail", repeat_minutes=30)
    world.receives("sentry", "event_alert", users=7)
    world.after(minutes=31)
    world.receives("sentry", "event_alert", level="fatal")
    world.after(minutes=1)
    world.act(world.group(), "resolve", note="rolled back")
    world.after(minutes=1)
    first, again, worse, over = smtp.mails
    assert first.recipients == ["kim@example.com", "sam@example.com"]
    assert (first.tls, first.username, first.sender) == (True, "postbox", "box@example.com")
    # A reader threads by Message-ID, In-Reply-To and References (RFC 5322, 3.6.4).
    first_id, (anchor, *_) = thread(first)
    assert len({thread(mail)[0] for mail in smtp.mails}) == 4
    for mail in (again, worse, over):
        assert thread(mail)[1] == [anchor, first_id]
        assert mail.message["In-Reply-To"] == first_id
    assert subjects(smtp)[0] == "[HIGH] TypeError in checkout — shop/prod"
    assert subjects(smtp)[1] == "Re: [HIGH] TypeError in checkout — shop/prod"
    assert subjects(smtp)[2].startswith("[CRITICAL] TypeError in checkout")
    assert subjects(smtp)[3].startswith("Re: [CRITICAL] TypeError in checkout")
    for mail, words in ((again, "30 minutes"), (worse, "critical"), (over, "rolled back")):
        assert words in mail.text().lower(), words
        assert words in mail.text("html").lower(), words
    assert "7" in first.text()


def test_repeats_of_a_told_group_send_no_further_mail(world: World, smtp: SmtpStandIn) -> None:
    """A mail cannot be edited: what would be an edit elsewhere is no mail."""
    mailed(world, smtp)
    world.rule("", "mail")
    for _ in range(20):
        world.receives("sentry", "event_alert")
        world.after(seconds=30)
    assert len(smtp.mails) == 1
    assert world.owed() == []


def test_the_link_in_a_mail_acknowledges(world: World, smtp: SmtpStandIn) -> None:
    mailed(world, smtp)
    world.rule("", "mail", escalate_after=15, escalate_to="#leads")
    world.receives("sentry", "event_alert")
    world.after(seconds=5)
    link = next(word for word in smtp.mails[0].text().split() if "/answer/" in word)
    path = httpx.URL(link).path
    for _ in range(3):  # mail scanners open every link
        assert world.api.get(path, headers={"Authorization": ""}).status_code == 200
    assert world.group()["status"] == "open"
    assert world.api.post(path, headers={"Authorization": ""}).status_code == 200
    assert (world.group()["status"], world.group()["acknowledged_by"]) == ("acknowledged", "somebody by a link in mail")
    world.after(hours=1)
    assert [t for t in world.told if t.channel == "#leads"] == []


def test_mail_is_the_fallback_of_a_revoked_slack_token(world: World, smtp: SmtpStandIn) -> None:
    mailed(world, smtp)
    world.rule("", "#oncall")
    world.api.patch("/api/workspace", json={"fallback_channel": "mail"}).raise_for_status()
    world.slack.revoke(BOT_TOKEN)
    world.receives("sentry", "event_alert", issue="1", title="told by mail")
    world.after(minutes=1)
    assert [s.split("] ")[1] for s in subjects(smtp)] == ["told by mail — shop/prod"]
    assert world.told == []
    health = world.get("/health")["components"]["channels"]
    assert "token_revoked" in health["detail"]
    assert "the fallback channel is told instead" in health["detail"]
    said = [d for d in world.get("/api/deliveries")["items"] if d["kind"] == "first"]
    assert {(d["channel"], d["state"]) for d in said} == {("mail", "sent"), ("#oncall", "failed")}
    assert "told through mail instead" in next(d["last_error"] for d in said if d["channel"] == "#oncall")


@pytest.mark.whole
def test_an_hour_without_the_mail_server_loses_nothing(world: World, smtp: SmtpStandIn) -> None:
    """Twenty problems, each twice: twenty mails once it is back, within two minutes, and no second ones."""
    mailed(world, smtp)
    world.rule("", "mail")
    smtp.down()
    for _ in range(2):
        for n in range(20):
            world.receives("sentry", "event_alert", issue=str(n), title=f"problem {n:02}", settle=False)
        world.after(minutes=30)
    assert smtp.mails == []
    assert world.get("/health")["components"]["channels"]["status"] == "failing"
    smtp.down(False)
    world.after(minutes=2)
    assert sorted(subjects(smtp)) == [f"[HIGH] problem {n:02} — shop/prod" for n in range(20)]
    assert world.owed() == []
    assert world.get("/health")["components"]["channels"]["status"] == "ok"


def test_a_server_that_asks_for_patience_gets_it_and_one_that_refuses_the_password_is_said(
    world: World, smtp: SmtpStandIn
) -> None:
    mailed(world, smtp)
    world.rule("", "mail")
    smtp.answer("451 4.7.1 greylisted, try again later", at="rcpt", times=4)
    world.receives("sentry", "event_alert", issue="1", title="greylisted")
    world.after(minutes=5)
    assert subjects(smtp) == ["[HIGH] greylisted — shop/prod"]
    smtp.answer("535 5.7.8 Authentication credentials invalid", at="auth", times=1)
    world.receives("sentry", "event_alert", issue="2", title="refused")
    world.after(seconds=5)
    health = world.get("/health")["components"]["channels"]
    assert health["status"] == "failing"
    assert "does not accept the user name and password" in health["detail"]
    world.api.post("/api/channels/" + _id(world, "mail") + "/test").raise_for_status()
    world.after(minutes=1)
    assert sorted(subjects(smtp)[1:]) == ["Test message from SignalCraft", "[HIGH] refused — shop/prod"]


def _id(world: World, name: str) -> str:
    return str(next(c["id"] for c in world.get("/api/channels")["items"] if c["name"] == name))
