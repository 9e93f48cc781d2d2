"""Mail handed to a real SMTP server on loopback: TLS, sign-in, each recipient's own answer, and every way to fail."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from msgspec.structs import replace

from signalcraft.channels import email as channel
from signalcraft.domain.delivery import Broken, Mail, Refused, Reply, Retry, Sent
from signalcraft.postman import Postman
from signalcraft.postman.names import Resolve, resolve
from tests.channels.notes import NOTE
from tests.postman.loopback import AUTHORITY, closed_port, server_tls
from tests.postman.test_http import run

MAIL = Mail(
    host="localhost",
    port=0,
    security="none",
    username="",
    password="",
    sender="alerts@example.com",
    recipients=["oncall@example.com", "lead@example.com"],
    message=b"Subject: test\r\nMessage-ID: <1@example.com>\r\n\r\nhello\r\n.dot\r\n",
    timeout_s=5.0,
)

INSIDE = ["127.0.0.0/8", "::1"]
"""These servers stand on loopback, which an operator has to allow."""


class Inbox:
    """A mail server's opinions: what it says to a command ("" for yes), and what it took."""

    def __init__(self, *, mail: str = "", rcpt: dict[str, str] | None = None, data: str = "") -> None:
        self.says_mail = mail
        self.says_rcpt = rcpt or {}
        self.says_data = data
        self.taken: list[Envelope] = []
        self.encrypted: list[bool] = []
        self.signed_in: list[bytes] = []

    async def handle_MAIL(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if self.says_mail:
            return self.says_mail
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        said = self.says_rcpt.get(address, "")
        if said:
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        if self.says_data == "hang":
            await asyncio.sleep(60)
        if self.says_data == "hang up":
            server.transport.abort()
            return "250 never heard"
        if self.says_data:
            return self.says_data
        self.taken.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 queued as 4711"

    def sign_in(self, server: Any, session: Any, envelope: Any, mechanism: str, given: LoginPassword) -> AuthResult:
        self.signed_in.append(given.login)
        right = given == LoginPassword(b"signalcraft", b"hunter2-mail")
        return AuthResult(success=right, handled=False)


@contextlib.asynccontextmanager
async def mail_server(
    inbox: Inbox, *, starttls: bool = False, tls: bool = False, sign_in: bool = False, at: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """A real SMTP server on a free port, gone afterwards."""
    loop = asyncio.get_running_loop()
    made: list[SMTP] = []

    def factory() -> SMTP:
        protocol = SMTP(
            inbox,
            loop=loop,
            hostname="localhost",
            tls_context=server_tls() if starttls else None,
            require_starttls=starttls,
            authenticator=inbox.sign_in if sign_in else None,
            auth_required=sign_in,
        )
        made.append(protocol)
        return protocol

    context: ssl.SSLContext | None = server_tls() if tls else None
    server = await loop.create_server(factory, at, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for protocol in made:
            if protocol.transport is not None:
                protocol.transport.abort()
            handler = protocol._handler_coroutine
            if handler is not None:
                handler.cancel()
                await asyncio.gather(handler, return_exceptions=True)


def sent(inbox: Inbox, *, server: dict[str, Any] | None = None, ca_file: str = AUTHORITY, **changes: Any) -> Reply:
    """The reply for one mail to a server with that inbox."""

    async def work(postman: Postman) -> Reply:
        async with mail_server(inbox, **(server or {})) as port:
            return await postman.send(replace(MAIL, port=port, **changes))

    found: Reply = run(work, ca_file=ca_file, allow=INSIDE)
    return found


def refused(reply: Reply) -> dict[str, str]:
    found: dict[str, str] = msgspec.json.decode(reply.body)["refused"]
    return found


def test_a_mail_arrives_as_it_was_written() -> None:
    inbox = Inbox()
    reply = sent(inbox)
    assert (reply.status, reply.error) == (250, "")
    assert msgspec.json.decode(reply.body) == {"text": "queued as 4711", "refused": {}}
    (envelope,) = inbox.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == (MAIL.sender, MAIL.recipients)
    assert envelope.content == MAIL.message


def test_a_composed_mail_arrives_and_is_judged() -> None:
    inbox = Inbox()
    config = channel.Config(host="localhost", security="none", sender="a@example.com", recipients=["b@example.com"])

    async def work(postman: Postman) -> Any:
        async with mail_server(inbox) as port:
            (step,) = channel.compose(replace(config, port=port), NOTE, {})
            return channel.judge(config, NOTE, step, await postman.send(step))

    outcome = run(work, allow=INSIDE)
    assert isinstance(outcome, Sent)
    assert outcome.receipt["message_id"].encode() in inbox.taken[0].content  # type: ignore[operator]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encrypted(security: str) -> None:
    inbox = Inbox()
    assert sent(inbox, server={security: True}, security=security).status == 250
    assert len(inbox.taken) == 1
    assert security == "tls" or inbox.encrypted == [True]


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(("ca_file", "host"), [("", "localhost"), (AUTHORITY, "127.0.0.2")])
def test_a_certificate_that_is_not_trusted_gets_nothing(security: str, ca_file: str, host: str) -> None:
    inbox = Inbox()
    server = {security: True, "at": "127.0.0.2" if host == "127.0.0.2" else "127.0.0.1"}
    reply = sent(inbox, server=server, ca_file=ca_file, security=security, host=host, username="u", password="p")
    assert reply.status == 0
    assert reply.error.startswith("the certificate is not trusted: ")
    assert not reply.sent_maybe
    assert inbox.taken == []
    assert inbox.signed_in == []


def test_signed_in() -> None:
    inbox = Inbox()
    server = {"starttls": True, "sign_in": True}
    reply = sent(inbox, server=server, security="starttls", username="signalcraft", password="hunter2-mail")
    assert reply.status == 250
    assert inbox.signed_in == [b"signalcraft"]


def judged(reply: Reply) -> object:
    config = channel.Config(host="localhost", sender="alerts@example.com", recipients=MAIL.recipients)
    return channel.judge(config, NOTE, MAIL, reply)


def test_a_wrong_password_needs_a_person(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="signalcraft")
    server = {"starttls": True, "sign_in": True}
    inbox = Inbox()
    reply = sent(inbox, server=server, security="starttls", username="signalcraft", password="wrong-secret")
    assert inbox.signed_in == [b"signalcraft"], "once: more tries would lock the account"
    assert (reply.status, reply.headers["smtp-phase"]) == (535, "auth")
    assert isinstance(judged(reply), Broken)
    assert "wrong-secret" not in repr(reply) + caplog.text


def test_a_server_that_wants_a_sign_in() -> None:
    reply = sent(Inbox(), server={"starttls": True, "sign_in": True}, security="starttls")
    assert reply.status == 530
    assert isinstance(judged(reply), Broken)


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [({"security": "starttls"}, "STARTTLS"), ({"username": "u", "password": "p"}, "sign-in (AUTH)")],
)
def test_what_the_server_does_not_offer_is_not_done_without(changes: dict[str, str], lacks: str) -> None:
    inbox = Inbox()
    reply = sent(inbox, **changes)
    assert (reply.status, reply.error, reply.headers["smtp-lacks"]) == (0, f"the mail server offers no {lacks}", lacks)
    assert isinstance(judged(reply), Broken)
    assert inbox.taken == []


def test_one_recipient_refused_is_sent_to_the_other() -> None:
    inbox = Inbox(rcpt={"lead@example.com": "550 5.1.1 no such user"})
    reply = sent(inbox)
    assert reply.status == 250
    assert refused(reply) == {"lead@example.com": "550 5.1.1 no such user"}
    assert inbox.taken[0].rcpt_tos == ["oncall@example.com"]
    outcome = judged(reply)
    assert isinstance(outcome, Sent)
    assert outcome.receipt["refused"] == "lead@example.com: 550 5.1.1 no such user"


@pytest.mark.parametrize(
    ("answers", "status", "expected"),
    [
        (("550 no such user", "550 no such user"), 550, Broken),
        (("550 no such user", "450 grey-listed"), 450, Retry),
        (("552 mailbox full", "552 mailbox full"), 552, Refused),
        (("421 closing", "421 closing"), 421, Retry),
    ],
)
def test_all_recipients_refused(answers: tuple[str, str], status: int, expected: type) -> None:
    inbox = Inbox(rcpt=dict(zip(MAIL.recipients, answers, strict=True)))
    reply = sent(inbox)
    assert (reply.status, reply.headers["smtp-phase"]) == (status, "rcpt")
    assert isinstance(judged(reply), expected)
    assert inbox.taken == []


@pytest.mark.parametrize(
    ("inbox", "status", "phase", "expected"),
    [
        (Inbox(mail="550 who are you"), 550, "mail", Broken),
        (Inbox(mail="451 later"), 451, "mail", Retry),
        (Inbox(data="554 looks like spam"), 554, "data", Refused),
        (Inbox(data="452 no room"), 452, "data", Retry),
    ],
)
def test_what_the_server_says_to_each_command(inbox: Inbox, status: int, phase: str, expected: type) -> None:
    reply = sent(inbox)
    assert (reply.status, reply.headers["smtp-phase"]) == (status, phase)
    assert isinstance(judged(reply), expected)


def test_a_server_that_hangs_up_after_the_text_may_have_taken_it() -> None:
    reply = sent(Inbox(data="hang up"))
    assert (reply.status, reply.error, reply.sent_maybe) == (0, "the mail server hung up", True)


def test_a_server_that_takes_its_time_is_left() -> None:
    reply = sent(Inbox(data="hang"), timeout_s=0.5)
    assert (reply.status, reply.error, reply.sent_maybe) == (0, "no answer within 0.5 s", True)


def test_nothing_listens() -> None:
    async def work(postman: Postman) -> Reply:
        async with closed_port() as port:
            return await postman.send(replace(MAIL, host="127.0.0.1", port=port))

    reply = run(work, allow=INSIDE)
    assert (reply.status, reply.error, reply.sent_maybe) == (
        0, "the connection was refused: nothing listens there", False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("greeting", "status"), [(b"554 go away\r\n", 554), (b"421 busy\r\n", 421), (b"HTTP/1.1 400 Bad\r\n\r\n", None)]
)
def test_a_greeting_that_is_none(greeting: bytes, status: int | None) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    async def work(postman: Postman) -> Reply:
        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        try:
            return await postman.send(replace(MAIL, host="127.0.0.1", port=server.sockets[0].getsockname()[1]))
        finally:
            server.close()

    reply = run(work, allow=INSIDE)
    if status is None:
        assert not isinstance(judged(reply), Sent)
    else:
        assert (reply.status, reply.headers["smtp-phase"]) == (status, "connect")


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "smtp\r\nexample"},
        {"host": ""},
        {"host": "nowhere.invalid"},
        {"recipients": ["störung@example.com"]},
        {"recipients": ["a@example.com>\r\nRCPT TO:<victim@example.com"]},
        {"sender": "a\r\nb@example.com"},
        {"sender": "Ann <a@example.com>"},
        {"recipients": []},
    ],
)
def test_a_mail_that_cannot_be_sent_is_a_reply(changes: dict[str, Any]) -> None:
    inbox = Inbox()
    reply = sent(inbox, **changes)
    assert not isinstance(judged(reply), Sent)
    assert inbox.taken == []


# -- where a mail server may stand ------------------------------------------------------------------------------------


def reached(host: str, allow: list[str], look_up: Resolve = resolve) -> tuple[Reply, int]:
    """The reply of a mail through a server on loopback under that host, and how many the server took."""
    inbox = Inbox()

    async def work(postman: Postman) -> Reply:
        async with mail_server(inbox, at="127.0.0.1") as port:
            return await postman.send(replace(MAIL, host=host, port=port))

    reply: Reply = run(work, allow=allow, look_up=look_up)
    return reply, len(inbox.taken)


def looking_up(*addresses: str) -> Resolve:
    """A name server that gives these, one a question; the last for ever."""
    left = list(addresses)

    async def look_up(host: str, port: int) -> list[str]:
        return [left.pop(0) if len(left) > 1 else left[0]]

    return look_up


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0177.0.0.1", "2130706433", "::ffff:127.0.0.1", "0.0.0.0"])
def test_a_mail_server_inside_our_own_network_needs_the_operators_leave(host: str) -> None:
    reply, taken = reached(host, [])
    assert reply.error.startswith("blocked: ")
    assert (reply.status, taken, reply.sent_maybe) == (0, 0, False)
    outcome = judged(reply)
    assert isinstance(outcome, Broken)
    assert "outbound.allow" in outcome.why


@pytest.mark.parametrize("allow", [["127.0.0.1"], ["127.0.0.0/8"], ["relay.example"]])
def test_a_mail_server_that_the_operator_allows(allow: list[str]) -> None:
    reply, taken = reached("relay.example", allow, looking_up("127.0.0.1"))
    assert (reply.status, taken) == (250, 1)


def test_the_metadata_service_is_no_mail_server() -> None:
    reply, _ = reached("mail.example", ["127.0.0.0/8", "10.0.0.0/8"], looking_up("169.254.169.254"))
    assert reply.error == "blocked: mail.example leads to a link-local address"


def test_a_mail_servers_name_is_asked_once_and_the_address_that_was_checked_is_connected() -> None:
    """The second answer leads elsewhere: nobody asks for it."""
    reply, taken = reached("mail.example", ["127.0.0.1"], looking_up("127.0.0.1", "169.254.169.254"))
    assert (reply.status, taken) == (250, 1)
