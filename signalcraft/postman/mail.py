"""Mail: one SMTP conversation, and what the server said at which step (RFC 5321, 3207, 4954)."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Awaitable, Callable

import aiosmtplib
import msgspec
from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPRecipientRefused, SMTPResponseException

from signalcraft.domain.addresses import Allowed
from signalcraft.domain.delivery import Mail, Reply
from signalcraft.postman.names import Resolve
from signalcraft.postman.reach import Unreachable, addresses_of
from signalcraft.postman.words import socket_words


class _Lacks(Exception):
    """The server does not offer what the settings ask for."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the mail server offers no {what}")
        self.what = what


class _Refused(Exception):
    """Every recipient was refused; `code` is the one that leaves most hope."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class _Talk:
    """One conversation, and how far it came: connect, auth, mail, rcpt, data."""

    def __init__(self, mail: Mail, tls: ssl.SSLContext) -> None:
        self.mail = mail
        self.phase = "connect"
        self.refused: dict[str, str] = {}
        self.client = SMTP(
            hostname=mail.host,  # what its certificate must name; the connection is made by us
            # Looking up our own full name can take a resolver's whole patience; the short one will do.
            local_hostname=socket.gethostname() or "localhost",
            timeout=mail.timeout_s,
            use_tls=mail.security == "tls",
            start_tls=False,
            tls_context=tls,
        )

    async def greet(self, addresses: list[str]) -> None:
        """As far as a mail could be begun. Raises what aiosmtplib raises, _Lacks and _Refused."""
        client, mail = self.client, self.mail
        await client.connect(sock=await _connected(addresses, mail), port=None)
        await client.ehlo()
        if mail.security == "starttls":
            if not client.supports_extension("starttls"):
                raise _Lacks("STARTTLS")
            await client.starttls()
            await client.ehlo()
        if mail.username:
            self.phase = "auth"
            await self._sign_in()

    async def say(self, addresses: list[str]) -> str:
        """Hands the mail over; the server's last words. Raises the same."""
        client, mail = self.client, self.mail
        await self.greet(addresses)
        self.phase = "mail"
        await client.mail(mail.sender)
        self.phase = "rcpt"
        await self._recipients()
        self.phase = "data"
        response = await client.data(mail.message)
        return response.message

    async def _sign_in(self) -> None:
        client, mail = self.client, self.mail
        ways = {"plain": client.auth_plain, "login": client.auth_login, "cram-md5": client.auth_crammd5}
        offered = [way for way in ways if way in client.supported_auth_methods]
        if not offered:
            raise _Lacks("sign-in (AUTH)")
        for way in offered:
            try:
                await ways[way](mail.username, mail.password)
            except SMTPAuthenticationError as refusal:
                # 535 is about the password: asking again in another way brings an account nearer to being locked.
                # Anything else may be a way that is offered but does not work.
                if refusal.code == 535 or way == offered[-1]:
                    raise
            else:
                return

    async def _recipients(self) -> None:
        refusals: list[SMTPRecipientRefused] = []
        for recipient in self.mail.recipients:
            try:
                await self.client.rcpt(recipient)
            except SMTPRecipientRefused as refusal:
                if refusal.code == 421:  # not of this recipient: the server closes the line
                    raise
                refusals.append(refusal)
                self.refused[recipient] = f"{refusal.code} {refusal.message}"
        if len(refusals) == len(self.mail.recipients):
            # One that may be taken later (4xx) is a reason to come back, whatever is said of the others.
            best = min(refusals, key=lambda refusal: refusal.code, default=None)
            raise _Refused(best.code if best else 550, best.message if best else "no recipients")


async def _connected(addresses: list[str], mail: Mail) -> socket.socket:
    """A connection to the first address that answers. Raises OSError."""
    loop = asyncio.get_running_loop()
    fault: OSError = OSError("no address")
    for address in addresses:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(max(mail.timeout_s / len(addresses), 2.0)):
                await loop.sock_connect(sock, (address.partition("%")[0], mail.port))
        except OSError as this:  # a TimeoutError among them
            sock.close()
            fault = this
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise fault


async def hand_over(mail: Mail, tls: ssl.SSLContext, allowed: Allowed, look_up: Resolve) -> Reply:
    """Reply.status is the SMTP code that settled it, its body {"text", "refused"}, its headers `smtp-phase` and, where
    the server does not offer what the settings ask for, `smtp-lacks`. Never raises, but for cancellation.
    """
    return await _talked(mail, tls, allowed, look_up, lambda talk, addresses: talk.say(addresses))


async def knock(mail: Mail, tls: ssl.SSLContext, allowed: Allowed, look_up: Resolve) -> Reply:
    """The same as far as signing in: nothing is mailed."""

    async def greeted(talk: _Talk, addresses: list[str]) -> str:
        await talk.greet(addresses)
        return ""

    return await _talked(mail, tls, allowed, look_up, greeted)


async def _talked(
    mail: Mail,
    tls: ssl.SSLContext,
    allowed: Allowed,
    look_up: Resolve,
    what: Callable[[_Talk, list[str]], Awaitable[str]],
) -> Reply:
    # The library would take an address apart and send what it makes of it; a line's end in one is a command.
    if any(not a.isascii() or not a.isprintable() or set(a) & set("<> ") for a in (mail.sender, *mail.recipients)):
        return Reply(status=0, error="the mail cannot be sent: an address in it is not valid")
    try:
        talk = _Talk(mail, tls)
    except ValueError:
        return Reply(status=0, error="the mail cannot be sent: its server's name is not valid")
    try:
        async with asyncio.timeout(mail.timeout_s):
            text = await what(talk, await addresses_of(mail.host, mail.port, allowed, look_up))
    except Exception as fault:
        return _fault(talk, fault)
    else:
        # Taken: whatever happens to the good-bye, the mail is theirs.
        try:
            async with asyncio.timeout(2):
                await talk.client.quit()
        except Exception:  # noqa: S110 - nothing to be done, and nothing lost
            pass
        return _reply(talk, 250, text)
    finally:
        talk.client.close()


def _reply(talk: _Talk, code: int, text: str) -> Reply:
    refused = {who: _sound(_masked(talk.mail, why)) for who, why in talk.refused.items()}
    body = msgspec.json.encode({"text": _sound(_masked(talk.mail, text)), "refused": refused})
    return Reply(status=code, headers={"smtp-phase": talk.phase}, body=body)


def _masked(mail: Mail, text: str) -> str:
    """What a server says, without our password where it quotes that: its words are kept and shown to people."""
    if not mail.password:
        return text
    whole = f"\0{mail.username}\0{mail.password}"
    coded = (base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode() for secret in (whole, mail.password))
    for spelling in (*coded, mail.password):
        text = text.replace(spelling, "***")
    return text


def _sound(text: str) -> str:
    # aiosmtplib keeps a server's bytes that are no UTF-8 as lone surrogates, which JSON cannot carry.
    return text.encode("utf-8", "replace").decode("utf-8")[:500]


def _fault(talk: _Talk, fault: Exception) -> Reply:
    if isinstance(fault, SMTPResponseException):
        return _reply(talk, fault.code, fault.message)
    if isinstance(fault, _Refused):
        return _reply(talk, fault.code, fault.text)
    headers = {"smtp-phase": talk.phase}
    if isinstance(fault, _Lacks):
        return Reply(status=0, headers={**headers, "smtp-lacks": fault.what}, error=str(fault))
    if isinstance(fault, Unreachable):
        words = str(fault)
    elif isinstance(fault, TimeoutError):  # aiosmtplib's are its subclasses
        words = f"no answer within {talk.mail.timeout_s:g} s"
    elif isinstance(fault, aiosmtplib.SMTPServerDisconnected):
        words = "the mail server hung up"
    elif isinstance(fault, (OSError, SMTPException)):
        words = socket_words(fault)
    else:
        words = f"the mail could not be handed over ({type(fault).__name__})"
    # Once the text is on its way the server may have taken it, even though its answer never came.
    return Reply(status=0, headers=headers, error=words, sent_maybe=talk.phase == "data")
