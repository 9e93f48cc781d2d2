"""What lies outside: the public address with its name and certificate, and the servers of the channels."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from signalcraft.cli.doctor.finding import Finding, Running, fault, ok, warning
from signalcraft.config import Settings
from signalcraft.domain.delivery import HttpCall, Mail, Reply
from signalcraft.errors import BadSetting
from signalcraft.postman import Postman
from signalcraft.postman.probe import Seen
from signalcraft.services.registry import ChannelLive, Snapshot

DAY_MS: Final = 86_400_000
SOON_DAYS: Final = 21
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_TIMEOUT_S: Final = 10.0


async def public_url(settings: Settings, postman: Postman, running: Running | None, now_ms: int) -> list[Finding]:
    """`dns`, `tls` and `public url`: whether people and senders find this box under its name, and believe it."""
    url = settings.http.public_url
    if not url:
        why = "http.public_url is not set: messages carry no links, and senders do not know where to post"
        return [warning("public url", why), *_own_certificate(settings, now_ms)]
    seen = await postman.look(url, private_ok=True)
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not seen.addresses:
        return [fault("dns", f"{seen.trouble}: add an A or AAAA record, or mend http.public_url")]
    found = [ok("dns", f"{host} leads to {', '.join(seen.addresses)}")]
    if seen.trouble:
        if running is None:
            return [*found, warning("public url", f"{url}: {seen.trouble}; nothing runs here now")]
        what = "open the port in the firewall, look at the proxy in front, and at http.listen"
        return [*found, fault("public url", f"{url}: {seen.trouble}; {what}")]
    found += _tls(parts.scheme, host, seen, now_ms)
    if any(one.status == "fault" for one in found):
        return found
    return [*found, await _answers(url, postman)]


def _tls(scheme: str, host: str, seen: Seen, now_ms: int) -> list[Finding]:
    if scheme != "https":
        if host in _LOOPBACK:
            return [ok("tls", f"none is needed: {host} is this box alone")]
        return [fault("tls", "http.public_url is http://: whoever is on the way reads passwords; docs/how-to/tls.md")]
    renew = "renew it (docs/runbooks/certificate.md)"
    days = ((seen.until_ms or 0) - now_ms) // DAY_MS
    if seen.until_ms is not None and days < 0:
        ago = (now_ms - seen.until_ms) // DAY_MS
        return [fault("tls", f"the certificate of {host} ended {ago} days ago: {renew}")]
    if seen.chain:
        what = "send the whole chain and a certificate for this name, or name your own authority in outbound.ca_file"
        return [fault("tls", f"the certificate of {host} is not believed ({seen.chain}): {what}")]
    if days < SOON_DAYS:
        return [warning("tls", f"the certificate of {host} ends in {days} days: {renew}")]
    return [ok("tls", f"the certificate of {host} is believed, with its chain, and holds for {days} days")]


def _own_certificate(settings: Settings, now_ms: int) -> list[Finding]:
    from signalcraft.main import certificate

    try:
        own = certificate.read(settings)
    except BadSetting as problem:
        return [fault("tls", problem.detail)]
    if own is None:
        return []
    wrong = own.warnings(settings.http.public_url, now_ms)
    if not wrong:
        return [ok("tls", f"the box's own certificate holds for {(own.until_ms - now_ms) // DAY_MS} days")]
    return [fault("tls", wrong[0]) if own.until_ms <= now_ms or now_ms < own.from_ms else warning("tls", wrong[0])]


async def _answers(url: str, postman: Postman) -> Finding:
    call = HttpCall(
        method="GET", url=url.rstrip("/") + "/health/live", headers={}, body=b"", timeout_s=_TIMEOUT_S, private_ok=True
    )
    reply = await postman.send(call)
    if reply.status == 0:
        return fault("public url", f"{url} did not answer: {reply.error}")
    if not _is_ours(reply):
        where = "look at the proxy's upstream, and whether the name leads to another box"
        return fault("public url", f"{url}/health/live is not answered by SignalCraft (HTTP {reply.status}): {where}")
    return ok("public url", f"{url} is answered by SignalCraft")


def _is_ours(reply: Reply) -> bool:
    said = _json(reply.body)
    return isinstance(said.get("components"), dict) and "version" in said


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return said if isinstance(said, dict) else {}


# -- channels ---------------------------------------------------------------------------------------------------------


async def channels(snapshot: Snapshot, postman: Postman, now_ms: int) -> tuple[list[Finding], float | None]:
    """One finding a channel in use, and by how many seconds Slack's clock is ahead of ours (None: not known)."""
    live = [one for one in snapshot.channels.values() if one.kind in LOOKS]
    if not live:
        return [warning("channels", "there is none yet: nobody would be told (docs/tutorial/first-alert.md)")], None
    used = [one for one in live if one.enabled]
    if not used:
        return [warning("channels", "every one of them is switched off: nobody would be told")], None
    ahead: list[float] = []
    found = await asyncio.gather(*(_channel(one, postman, now_ms, ahead) for one in used))
    return sorted(found, key=lambda one: one.name), ahead[0] if ahead else None


async def _channel(one: ChannelLive, postman: Postman, now_ms: int, ahead: list[float]) -> Finding:
    name = f"channel {one.name}"
    trouble = await LOOKS[one.kind](one.config, postman, now_ms, ahead)
    if trouble:
        return fault(name, trouble)
    if one.state == "broken":
        return fault(name, f"it can be reached, and refused its last message: {one.broken_why}. Mend it, then test it")
    return ok(name, f"{one.module.LABEL} can be reached")


async def _slack(config: Any, postman: Postman, now_ms: int, ahead: list[float]) -> str:
    """https://docs.slack.dev/reference/methods/auth.test: whose token it is; nothing is posted."""
    base = config.api_url.rstrip("/")
    call = HttpCall(
        method="POST", url=f"{base}/auth.test", headers={"Authorization": f"Bearer {config.bot_token}"}, body=b"",
        timeout_s=_TIMEOUT_S, private_ok=True,
    )  # fmt: skip
    reply = await postman.send(call)
    if reply.status == 0:
        return f"{base} (slack.api_url) cannot be reached: {reply.error}; let this box out to it on port 443"
    if "date" in reply.headers:
        try:
            ahead.append(parsedate_to_datetime(reply.headers["date"]).timestamp() - now_ms / 1000)
        except ValueError:
            pass  # not a date: its clock says nothing
    said = _json(reply.body)
    if said.get("ok") is True:
        return ""
    if said.get("error") in ("invalid_auth", "token_revoked", "token_expired", "account_inactive", "not_authed"):
        return f"Slack does not take its bot token ({said['error']}): install the app again and enter the new token"
    return f"Slack answered {said.get('error') or f'HTTP {reply.status}'}: look at https://slack-status.com"


async def _mail(config: Any, postman: Postman, now_ms: int, ahead: list[float]) -> str:
    mail = Mail(
        host=config.host, port=config.port, security=config.security, username=config.username,
        password=config.password, sender="", recipients=[], message=b"", timeout_s=_TIMEOUT_S,
    )  # fmt: skip
    reply = await postman.knock(mail)
    where = f"{config.host}:{config.port}"
    if reply.status == 250:
        return ""
    if reply.status == 0:
        return f"the mail server {where} cannot be used: {reply.error}; look at host, port and security"
    if reply.headers.get("smtp-phase") == "auth":
        return f"the mail server {where} refuses its user name and password ({reply.status}): enter them again"
    return f"the mail server {where} answered {reply.status}: {_json(reply.body).get('text', '')}"


async def _webhook(config: Any, postman: Postman, now_ms: int, ahead: list[float]) -> str:
    seen = await postman.look(config.url)
    where = urlsplit(config.url).netloc
    if seen.trouble:
        return f"{where}: {seen.trouble}; look at its address, and at outbound.allow for one inside your network"
    if seen.chain:
        return f"{where}: its certificate is not believed ({seen.chain})"
    return ""


Look = Callable[[Any, Postman, int, list[float]], Awaitable[str]]
LOOKS: Final[dict[str, Look]] = {"slack": _slack, "email": _mail, "webhook": _webhook}
"""How a kind of channel is looked at without telling anybody anything; "" where it can be used."""
