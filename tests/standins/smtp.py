"""A real SMTP server (aiosmtpd) on loopback that keeps the mails it is handed, and can be told to misbehave."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from msgspec import Struct

LOCALHOST_PEM = Path(__file__).with_name("localhost.pem")
"""A self-signed certificate for localhost and 127.0.0.1 with its key, made for these tests and known to everybody.
A client that trusts this file can speak TLS with the stand-in."""

Stage = Literal["connect", "auth", "mail", "rcpt", "data"]


class ReceivedMail(Struct, frozen=True):
    """A mail that was accepted. `recipients` are the accepted ones; `tls` and `username` say how it was handed over."""

    sender: str
    recipients: list[str]
    raw: bytes
    tls: bool
    username: str

    @property
    def message(self) -> EmailMessage:
        """The mail, read."""
        return message_from_bytes(self.raw, policy=policy.default)

    def text(self, subtype: Literal["plain", "html"] = "plain") -> str:
        """The text of its plain or HTML part. Raises LookupError where it has none."""
        part = self.message.get_body(preferencelist=(subtype,))
        if part is None:
            raise LookupError(f"the mail has no text/{subtype} part")
        return cast(str, part.get_content())


class _Fault(Struct):
    stage: Stage
    reply: str
    times: int | None
    recipient: str | None


class SmtpStandIn:
    """Run it with `LoopThread(SmtpStandIn(…))`. Reading and faults are safe from any thread.

    * `security`: "none", "starttls" (required before MAIL) or "tls" from the first byte.
    * `users`: name → password; where given, AUTH is required.
    """

    def __init__(
        self,
        *,
        security: Literal["none", "starttls", "tls"] = "none",
        users: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.security = security
        self.host = host
        self.port = port  # the real one once started
        self.mails: list[ReceivedMail] = []
        self.refusals: list[str] = []
        """Every reply that refused something, in order."""
        self._users = dict(users or {})
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
        self._stall_s = 0.0
        self._drops = 0
        self._server: asyncio.Server | None = None
        self._sessions: set[SMTP] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- life

    async def start(self) -> None:
        """Listens; on the same port after `down`."""
        self._loop = asyncio.get_running_loop()
        if self._server is None:
            implicit = _tls() if self.security == "tls" else None
            self._server = await self._loop.create_server(self._session, self.host, self.port, ssl=implicit)
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuses connections and cuts the open ones."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for session in list(self._sessions):
            if isinstance(session.transport, asyncio.Transport):
                session.transport.abort()
        await asyncio.sleep(0.01)  # lets the sessions end

    def down(self, is_down: bool = True) -> None:
        """Connections are refused, or accepted again."""
        work: Coroutine[Any, Any, None] = self.stop() if is_down else self.start()
        if self._loop is None:
            work.close()
            raise RuntimeError("the stand-in is not running")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    # -- faults

    def answer(self, reply: str, at: Stage = "data", *, times: int | None = None, recipient: str | None = None) -> None:
        """Answers `reply` ("451 try again later") at a stage; for one recipient only, where one is named."""
        with self._lock:
            self._faults.append(_Fault(at, reply, times, recipient))

    def stall(self, seconds: float) -> None:
        """Every mail waits so many real seconds before it is answered; it is kept then."""
        self._stall_s = seconds

    def drop_after_accept(self, times: int = 1) -> None:
        """The next mails are kept and the connection is closed without an answer."""
        self._drops += times

    def heal(self) -> None:
        """Every fault ends."""
        with self._lock:
            self._faults.clear()
            self._stall_s, self._drops = 0.0, 0

    def _wrong(self, stage: Stage, recipient: str = "") -> str | None:
        with self._lock:
            for fault in self._faults:
                if fault.stage == stage and fault.recipient in (None, recipient):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._faults.remove(fault)
                    self.refusals.append(fault.reply)
                    return fault.reply
        return None

    # -- the wire: aiosmtpd calls the handle_* hooks by their names

    def _session(self) -> SMTP:
        stand_in = self

        class _Session(SMTP):
            def connection_made(self, transport: Any) -> None:
                stand_in._sessions.add(self)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                stand_in._sessions.discard(self)
                super().connection_lost(error)

            async def _handle_client(self) -> None:
                refused = stand_in._wrong("connect")
                if refused is not None:
                    await self.push(refused)
                    cast(asyncio.Transport, self.transport).close()
                    return
                await super()._handle_client()

        starttls = self.security == "starttls"
        return _Session(
            self,
            hostname="smtp.example.com",
            loop=asyncio.get_running_loop(),
            enable_SMTPUTF8=True,
            tls_context=_tls() if starttls else None,
            require_starttls=starttls,
            auth_required=bool(self._users) and starttls,
            auth_require_tls=starttls,
            authenticator=self._authenticate,
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        if (refused := self._wrong("auth")) is not None:
            return AuthResult(success=False, handled=False, message=refused)
        known = isinstance(data, LoginPassword) and self._users.get(data.login.decode()) == data.password.decode()
        if not known:
            self.refusals.append("535 5.7.8 Authentication credentials invalid")
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=data)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._users and not session.authenticated:
            self.refusals.append("530 5.7.0 Authentication required")
            return "530 5.7.0 Authentication required"
        if (refused := self._wrong("mail")) is not None:
            return refused
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (refused := self._wrong("rcpt", address)) is not None:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._stall_s:
            await asyncio.sleep(self._stall_s)
        if (refused := self._wrong("data")) is not None:
            return refused
        state = cast(Any, session)  # its attributes carry wrong types
        secure = self.security == "tls" or state.ssl is not None
        login = state.auth_data.login.decode() if isinstance(state.auth_data, LoginPassword) else ""
        raw = cast(bytes, envelope.original_content)
        self.mails.append(ReceivedMail(str(envelope.mail_from), list(envelope.rcpt_tos), raw, secure, login))
        if self._drops:
            self._drops -= 1
            cast(asyncio.Transport, server.transport).abort()
        return "250 OK: queued"


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(LOCALHOST_PEM)
    return context
