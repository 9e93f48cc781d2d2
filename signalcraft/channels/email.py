"""E-mail by SMTP: plain text and HTML, one thread for each alert group (RFC 5322, RFC 3834 for automatic mail)."""

from __future__ import annotations

import email
import email.policy
import hashlib
import html
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from signalcraft.domain.addresses import BLOCKED
from signalcraft.domain.delivery import Broken, Mail, Note, Outcome, Refused, Reply, Retry, Sent, Step
from signalcraft.domain.event import Secret, clip
from signalcraft.domain.replies import came_back
from signalcraft.domain.setup import SetupStep
from signalcraft.domain.wording import facts, lead, mark, one_line, place, rfc5322, title, web_link

KIND: Final = "email"
LABEL: Final = "E-mail"
EDITS: Final = False
GAP_MS: Final = 0
EDITS_PER_MINUTE: Final = 0

SETUP: Final = (
    SetupStep(
        text="Your mail provider names its server and port for sending (“SMTP”, “submission”): 587 with STARTTLS "
        "nearly everywhere.",
        field="host",
    ),
    SetupStep(
        text="Where it asks for a password, make one for SignalCraft alone (“app password”), not your own.",
        field="password",
    ),
    SetupStep(
        text="The sender's address must be one that the provider lets you send as, else mails end as spam.",
        field="sender",
    ),
)
"""What is done at the mail provider."""

RECIPIENTS_MAX: Final = 50
SUBJECT_MAX: Final = 200
EXCERPT_MAX: Final = 4000


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person fills in."""

    host: Annotated[
        str,
        Meta(
            title="SMTP server",
            description="Its host name, as its certificate says it.",
            extra={"placeholder": "smtp.example.com"},
        ),
    ]
    sender: Annotated[
        str,
        Meta(
            title="From",
            description="alerts@example.com or SignalCraft <alerts@example.com>",
            extra={"placeholder": "SignalCraft <alerts@example.com>"},
        ),
    ]
    recipients: Annotated[
        list[str],
        Meta(
            title="To",
            description="The addresses that are told, 1 to 50.",
            extra={"placeholder": "oncall@example.com"},
        ),
    ]
    port: Annotated[
        int, Meta(title="Port", description="587 for STARTTLS, 465 for TLS, 25 for neither.", ge=1, le=65535)
    ] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(title="Security", description="starttls (port 587), tls (port 465), none (a relay on this box)."),
    ] = "starttls"
    username: Annotated[str, Meta(title="User name", description="Empty where the server wants none.")] = ""
    password: Annotated[Secret, Meta(title="Password", description="Goes with the user name.")] = ""


# The dot-atom of RFC 5322 and a host name: what every mail server in practice takes, and nothing that ends a header.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*",
    re.ASCII,
)
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.ASCII)


def _is_address(text: str) -> bool:
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def check(config: Config) -> list[tuple[str, str]]:
    """What is wrong with the settings beyond their types, as (field, sentence)."""
    faults: list[tuple[str, str]] = []
    if not re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", config.host):
        faults.append(("host", "must be a host name or an IP address"))
    if not _is_address(_sender(config)[1]) or not config.sender.isprintable():
        faults.append(("sender", "must be an address such as alerts@example.com"))
    if not 1 <= len(config.recipients) <= RECIPIENTS_MAX:
        faults.append(("recipients", f"must be 1 to {RECIPIENTS_MAX} addresses"))
    for number, recipient in enumerate(config.recipients):
        if not _is_address(recipient):
            faults.append((f"recipients.{number}", "must be an address such as oncall@example.com"))
    if config.password and not config.username:
        faults.append(("username", "is needed beside a password"))
    if config.username and not config.password:
        faults.append(("password", "is needed beside a user name"))
    if config.password and config.security == "none" and not _LOOPBACK.fullmatch(config.host):
        faults.append(("security", "none would send the password in the clear: use starttls or tls"))
    return faults


def _sender(config: Config) -> tuple[str, str]:
    """(name, address) of the From header."""
    name, address = parseaddr(config.sender)
    return one_line(name, 100), address


def compose(config: Config, note: Note, receipt: dict[str, str]) -> list[Step]:
    """One mail; none for an update, which nobody is mailed.

    `receipt` is {"message_id", "subject"} of the mail that began the thread. The Message-ID is made of the delivery's
    id, so that a mail sent twice after a lost answer is shown once; every mail of a group refers to the same anchor,
    so that mails of several channels make one thread too.
    """
    if note.kind == "update":
        return []
    name, address = _sender(config)
    domain = address.rpartition("@")[2]
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = Address(display_name=name or "SignalCraft", addr_spec=address)
    message["To"] = ", ".join(config.recipients)
    # Other people's text may look like an encoded word (RFC 2047), which the library would decode.
    message["Subject"] = _subject(note, receipt).replace("=?", "= ?")
    message["Date"] = rfc5322(note.now_ms)
    message["Message-ID"] = f"<{_atom(note.group.id)}.{note.group.episode}.{_atom(note.delivery_id)}@{domain}>"
    if note.kind != "test":
        anchor = f"<{_atom(note.group.id)}@{domain}>"
        parent = receipt.get("message_id", "")
        if not re.fullmatch(r"<[!-;=?-~]{1,400}>", parent):
            parent = ""
        message["In-Reply-To"] = parent or anchor
        message["References"] = f"{anchor} {parent}" if parent else anchor
        message["X-SignalCraft-Group"] = _atom(note.group.id)
    # RFC 3834, and Outlook's own word: no out-of-office notes come back, and our own inbound mail knows a loop.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    if note.kind in ("first", "repeat", "escalation") and note.group.severity in ("critical", "high"):
        message["Importance"] = "high"
    message.set_content(_sendable(_plain(note)), charset="utf-8", cte="quoted-printable")
    if not note.plain:
        message.add_alternative(_sendable(_html(note)), subtype="html", charset="utf-8", cte="quoted-printable")
        # The library would draw a boundary at random; a digest is as unlikely to stand in the text.
        message.set_boundary("=_" + hashlib.sha256(note.delivery_id.encode("utf-8", "replace")).hexdigest()[:32])
    mail = Mail(
        host=config.host,
        port=config.port,
        security=config.security,
        username=config.username,
        password=config.password,
        sender=address,
        recipients=list(config.recipients),
        message=message.as_bytes(),
    )
    return [mail]


def _atom(text: str) -> str:
    """An id as part of a Message-ID: what is no letter, digit, dot, - or _ becomes -."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:120].strip(".") or "x"


def _sendable(text: str) -> str:
    # A lone surrogate has no UTF-8 form; of control characters only the line's end and the tab belong in a mail.
    plain = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c >= " " or c in "\n\t" else " " for c in plain.replace("\r\n", "\n"))


def _subject(note: Note, receipt: dict[str, str]) -> str:
    """The thread's subject, as an answer; a new one where it is the first, or where the severity is another now.

    Some readers break a thread when its subject changes; a severity that rose is worth that, a count is not.
    """
    if note.kind == "test":
        return "Test message from SignalCraft"
    severity = f"[{one_line(note.group.severity, 20).upper()}]"
    began = one_line(receipt.get("subject", ""), SUBJECT_MAX)
    if began.startswith(severity):
        return f"Re: {began}"
    where = clip(place(note.group), 80)
    tail = f" — {where}" if where else ""
    return f"{severity} {title(note.group, SUBJECT_MAX - len(severity) - 1 - len(tail))}{tail}"


def _links(note: Note) -> list[tuple[str, str]]:
    group = note.group
    pairs = [
        ("Acknowledge", note.ack_url if group.status == "open" else ""),
        ("Open in SignalCraft", note.page_url),
        ("Runbook", group.runbook_url),
        (f"View in {one_line(group.source, 40)}".strip(), group.link),
    ]
    return [(label, web_link(url)) for label, url in pairs if web_link(url)]


_TEST = "SignalCraft can send mail here. This is a test: nothing is wrong, and nothing needs doing."


def _plain(note: Note) -> str:
    group = note.group
    if note.kind == "test":
        return "\n".join([_TEST, *(f"\n{label}: {url}" for label, url in _links(note)[:1] if note.page_url)]) + "\n"
    parts = [f"{one_line(group.severity, 40).upper()}: {title(group)}"]
    if lead(note):
        parts.append(lead(note))
    pairs = facts(note)
    width = max(len(label) for label, _ in pairs) + 2
    parts.append("\n".join(f"{label + ':':<{width}}{value}" for label, value in pairs))
    if group.message.strip():
        parts.append(clip(group.message.strip(), EXCERPT_MAX))
    parts += _remarks(note)
    links = _links(note)
    if links:
        parts.append("\n".join(f"{label}: {url}" for label, url in links))
    # "-- " is the line by which mail readers know a signature.
    parts.append(f"-- \nSignalCraft, alert group {group.id}")
    return "\n\n".join(parts) + "\n"


def _remarks(note: Note) -> list[str]:
    group = note.group
    remarks = []
    if group.status == "resolved" and group.resolution_note:
        remarks.append(f"Note: {one_line(group.resolution_note, 1000)}")
    if group.memory:
        remarks.append(one_line(group.memory, 1000))
    return remarks


_COLOURS: Final = {
    "critical": "#b91c1c",
    "high": "#c2410c",
    "medium": "#a16207",
    "low": "#1d4ed8",
    "info": "#4b5563",
}


def _html(note: Note) -> str:
    group, esc = note.group, html.escape
    if note.kind == "test":
        body = f"<p>{esc(_TEST)}</p>"
    else:
        colour = _COLOURS.get(group.severity, "#4b5563")
        chip = (
            f'<span style="background:{colour};color:#fff;border-radius:4px;padding:2px 8px;font-size:12px">'
            f"{esc(one_line(group.severity, 40).upper())}</span>"
        )
        rows = "".join(
            f'<tr><th style="text-align:left;font-weight:600;padding:2px 16px 2px 0;color:#4b5563">{esc(label)}</th>'
            f'<td style="padding:2px 0">{esc(value)}</td></tr>'
            for label, value in facts(note)
        )
        body = f'<p>{chip}</p><h2 style="margin:8px 0;font-size:18px">{mark(group)} {esc(title(group))}</h2>'
        body += f"<p><strong>{esc(lead(note))}</strong></p>" if lead(note) else ""
        body += f'<table role="presentation" style="border-collapse:collapse">{rows}</table>'
        if group.message.strip():
            body += (
                '<pre style="white-space:pre-wrap;background:#f3f4f6;padding:8px;border-radius:4px">'
                f"{esc(clip(group.message.strip(), EXCERPT_MAX))}</pre>"
            )
        body += "".join(f"<p>{esc(remark)}</p>" for remark in _remarks(note))
    body += "<p>" + " &nbsp; ".join(f'<a href="{esc(url)}">{esc(label)}</a>' for label, url in _links(note)) + "</p>"
    foot = "" if note.kind == "test" else f", alert group {esc(group.id)}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"></head>'
        '<body style="font-family:system-ui,sans-serif;font-size:14px;color:#111827">'
        f'{body}<p style="color:#6b7280;font-size:12px">SignalCraft{foot}</p></body></html>\n'
    )


class _Server(Struct):
    """What the postman puts into a mail reply's body."""

    text: str = ""
    refused: dict[str, str] = msgspec.field(default_factory=dict)


def judge(config: Config, note: Note, step: Step, reply: Reply) -> Outcome:
    """By SMTP's reply codes (RFC 5321): 2xx sent, 4xx later, 5xx for good.

    The postman's body is {"text": what the server said, "refused": {address: "550 no such user"}}, its header
    `smtp-phase` says at which command it was said (connect, auth, mail, rcpt, data), `smtp-lacks` what the server does
    not offer though the settings ask for it.
    """
    try:
        server = msgspec.json.decode(reply.body, type=_Server) if reply.body else _Server()
    except (msgspec.DecodeError, RecursionError):
        server = _Server()
    code = reply.status
    said = f"{code} {one_line(server.text, 200)}".strip()
    if 200 <= code < 300:
        return Sent(_receipt(step, server))
    if reply.headers.get("smtp-lacks"):
        return Broken(f"{came_back(reply)}: check the server, its port and the security setting")
    if reply.error.startswith(BLOCKED):
        return Broken(f"{reply.error}; the operator can allow it (outbound.allow)")
    if code == 0:
        return Retry(f"the mail server could not be asked: {came_back(reply)}")
    if code < 500:
        return Retry(f"the mail server asks to try later: {said}")
    phase = reply.headers.get("smtp-phase", "")
    if code in (530, 534, 535, 538) or phase == "auth":
        return Broken(f"the mail server does not accept the user name and password: {said}")
    if phase == "data":
        return Refused(f"the mail server refused this mail: {said}")
    if phase == "connect":
        return Broken(f"the mail server wants nothing from us: {said}")
    if code == 550 or (phase == "rcpt" and code != 552):
        return Broken(f"the mail server takes mail for none of the recipients: {said}")
    if phase == "mail" and code != 552:
        return Broken(f"the mail server does not accept the sender: {said}")
    return Refused(f"the mail server refused this mail: {said}")


def _receipt(step: Step, server: _Server) -> dict[str, str]:
    """Of the mail that is now the thread's first, or stays it: its Message-ID and subject."""
    receipt: dict[str, str] = {}
    if isinstance(step, Mail):
        sent = email.message_from_bytes(step.message, policy=email.policy.SMTP)
        anchor, *earlier = str(sent.get("References", "")).split() or [""]
        subject = str(sent.get("Subject", ""))
        receipt["message_id"] = earlier[0] if anchor and earlier else str(sent.get("Message-ID", ""))
        receipt["subject"] = subject.removeprefix("Re: ")
    if server.refused:
        receipt["refused"] = clip(
            "; ".join(f"{who}: {one_line(why, 200)}" for who, why in server.refused.items()), 2000
        )
    return receipt
