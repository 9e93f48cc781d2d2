"""What a channel is asked to say (Note), wants sent (HttpCall, Mail), and learned (Sent, Retry, Broken, Refused)."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

NoteKind = Literal["first", "update", "repeat", "escalation", "resolved", "test"]
State = Literal["owed", "sending", "sent", "failed", "dropped"]


class GroupView(Struct, frozen=True, kw_only=True):
    """An alert group as a message shows it. Times in ms; ids as text; severity and status as their words."""

    id: str
    title: str
    message: str
    severity: str
    status: Literal["open", "acknowledged", "snoozed", "resolved"]
    source: str
    project: str | None
    environment: str | None
    count: int
    episode: int
    first_seen_ms: int
    last_seen_ms: int
    acknowledged_by: str | None = None
    assignee: str | None = None
    snoozed_until_ms: int | None = None
    resolved_ms: int | None = None
    resolved_by: str | None = None
    resolution_note: str | None = None
    users_affected: int | None = None
    velocity_per_hour: float = 0.0
    runbook_url: str | None = None
    link: str | None = None
    memory: str | None = None
    tags: dict[str, str] = msgspec.field(default_factory=dict)


class Note(Struct, frozen=True, kw_only=True):
    """What a channel is asked to say.

    * `delivery_id` is the same on every try: a receiver's idempotency key.
    * `mention`: "" nobody, "here", "channel", or a vendor's own mention (a Slack user group id such as `S0123`).
    * `reason`: why people hear of it again ("severity rose to critical", "nobody acknowledged for 15 minutes").
    * `page_url`: the group's page on our dashboard, "" where no public address is set.
    * `ack_url`: a signed, expiring link whose GET shows a page and whose POST acts; "" where none can be made.
    * `timezone`: IANA name, for times in the text and "until 9:00".
    * `plain`: the vendor refused the rich form; say it in text alone.
    """

    kind: NoteKind
    delivery_id: str
    group: GroupView
    now_ms: int
    mention: str = ""
    reason: str = ""
    page_url: str = ""
    ack_url: str = ""
    timezone: str = "UTC"
    plain: bool = False


class HttpCall(Struct, frozen=True, kw_only=True):
    """One HTTP request the postman is to make. `private_ok` is for addresses the operator set, not a user."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    timeout_s: float = 15.0
    private_ok: bool = False


class Mail(Struct, frozen=True, kw_only=True):
    """One mail the postman is to hand to an SMTP server (RFC 5321). `message` is the whole RFC 5322 text."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    username: str
    password: str
    sender: str
    recipients: list[str]
    message: bytes
    timeout_s: float = 30.0


Step = HttpCall | Mail


class Reply(Struct, frozen=True, kw_only=True):
    """What came back. `status` is the HTTP status or the SMTP reply code; 0 with `error` set where nothing came back.

    `sent_maybe` is true where the request may have reached the other side before the error.
    """

    status: int
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    error: str = ""
    sent_maybe: bool = False


class Sent(Struct, frozen=True):
    """The channel took it. The receipt is handed back in later composes of the same group."""

    receipt: dict[str, str]


class Retry(Struct, frozen=True):
    """Not now. `after_s` is the vendor's own word (Retry-After), None: our backoff."""

    why: str
    after_s: float | None = None


class Broken(Struct, frozen=True):
    """The channel cannot deliver anything until a person mends it."""

    why: str


class Refused(Struct, frozen=True):
    """This message alone cannot be delivered. `gone`: the message to edit is no more; a fresh post is in order."""

    why: str
    gone: bool = False


Outcome = Sent | Retry | Broken | Refused


class Act(Struct, frozen=True, kw_only=True):
    """What a person did from a channel: pressed a button, answered a link."""

    verb: Literal["ack", "snooze", "resolve", "unsnooze"]
    group_id: str
    who_id: str
    who_name: str
    via: str
    minutes: int | None = None
    until_nine: bool = False
    answer_url: str = ""  # where a private answer can be posted (Slack's response_url)
