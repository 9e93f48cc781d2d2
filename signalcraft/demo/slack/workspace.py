"""What one Slack workspace holds: people, channels, messages with every edit. Thread-safe.

Messages are kept whole, with their edits and times, so that a test can ask what people saw and when.
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

Json = dict[str, Any]


class SlackError(Exception):
    """What the Web API answers instead of ok: an error code and what goes with it."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra


class Person(Struct, frozen=True):
    """Somebody in the workspace."""

    id: str
    name: str  # as the page shows it
    email: str

    @property
    def username(self) -> str:
        """The handle: lower case, no spaces."""
        return self.name.lower().replace(" ", ".")


class Version(Struct, frozen=True):
    """What a message said from `at_ms` on."""

    at_ms: int
    text: str
    blocks: list[Json]
    attachments: list[Json]


class Message(Struct, kw_only=True):
    """A message as people see it, with everything it said before in `history` (the first entry is the post).

    `sender` is the token that posted it, or a person's id. `visible_to` is a person's id for an ephemeral one, else "".
    """

    channel: str
    channel_name: str
    ts: str
    at_ms: int
    sender: str
    author: str
    thread_ts: str | None = None
    broadcast: bool = False
    visible_to: str = ""
    deleted: bool = False
    metadata: Json | None = None
    history: list[Version] = msgspec.field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of now."""
        return self.history[-1].text

    @property
    def blocks(self) -> list[Json]:
        """The blocks of now; each has a block_id, given by Slack where the sender gave none."""
        return self.history[-1].blocks

    @property
    def attachments(self) -> list[Json]:
        """The attachments of now."""
        return self.history[-1].attachments

    @property
    def edits(self) -> int:
        """How often it was edited."""
        return len(self.history) - 1

    @property
    def all_blocks(self) -> list[Json]:
        """Its blocks, those within attachments too."""
        return [*self.blocks, *(b for a in self.attachments for b in a.get("blocks") or ())]

    @property
    def words(self) -> str:
        """Every text that a person can read on it, a line each: for asking whether it speaks of something."""
        found: list[str] = []
        for block in self.all_blocks:
            found.extend(_texts(block))
        for attachment in self.attachments:
            found.extend(str(attachment[k]) for k in ("pretext", "title", "text", "fallback") if attachment.get(k))
        return "\n".join([self.text, *found])

    @property
    def buttons(self) -> list[str]:
        """The action ids that can be pressed, in order."""
        return [e["action_id"] for _, e in elements(self) if "action_id" in e]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "text" and isinstance(item, str):
                yield item
            elif isinstance(item, dict | list):
                yield from _texts(item)


def elements(message: Message) -> Iterator[tuple[Json, Json]]:
    """Every (block, interactive element) of a message."""
    for block in message.all_blocks:
        if block.get("type") == "actions":
            for element in block.get("elements") or ():
                yield block, element
        elif "accessory" in block:
            yield block, block["accessory"]


class Channel(Struct, kw_only=True):
    """One channel. `member`: the app is in it."""

    id: str
    name: str
    private: bool = False
    archived: bool = False
    member: bool = True
    last_us: int = 0
    messages: dict[str, Message] = msgspec.field(default_factory=dict)


class Workspace:
    """Channels and messages. Every change gives the message a new revision, which the page asks by."""

    def __init__(self, people: Iterable[Person]) -> None:
        self.lock = threading.RLock()
        self.people = {p.id: p for p in people}
        self.channels: dict[str, Channel] = {}
        self.revision = 0
        self._changed: dict[tuple[str, str], int] = {}  # in the order of the last change
        self._blocks_made = 0

    # -- people and channels

    def person(self, who: str) -> Person:
        """Somebody by id, name or address. Raises LookupError."""
        for p in self.people.values():
            if who in (p.id, p.name, p.email, p.username):
                return p
        raise LookupError(f"nobody called {who} in this workspace")

    def add_channel(self, name: str, *, private: bool = False, member: bool = True) -> Channel:
        """A new channel, or the one of that name. Its id is made from the name: oncall → C0ONCALL."""
        bare = name.removeprefix("#")
        if re.fullmatch(r"[CG]0[A-Z0-9]+", bare):
            bare = bare[2:].lower()
        with self.lock:
            for channel in self.channels.values():
                if channel.name == bare:
                    return channel
            stem = "C0" + (re.sub(r"[^A-Z0-9]", "", bare.upper()) or "CHANNEL")
            channel_id, n = stem, 1
            while channel_id in self.channels:
                n += 1
                channel_id = f"{stem}{n}"
            made = Channel(id=channel_id, name=bare, private=private, member=member)
            self.channels[channel_id] = made
            self.revision += 1
            return made

    def find(self, channel: str, *, by_name: bool = True) -> Channel:
        """A channel by id, "#name" or "name". Raises SlackError channel_not_found."""
        found = self.channels.get(channel)
        if found is None and by_name:
            bare = channel.removeprefix("#")
            found = next((c for c in list(self.channels.values()) if c.name == bare), None)
        if found is None:
            raise SlackError("channel_not_found")
        return found

    def writable(self, channel: str, *, by_name: bool = True) -> Channel:
        """A channel the app may write to. Raises SlackError."""
        found = self.find(channel, by_name=by_name)
        if found.archived:
            raise SlackError("is_archived")
        if not found.member:
            raise SlackError("channel_not_found" if found.private else "not_in_channel")
        return found

    # -- messages

    def post(self, channel: Channel, said: Version, *, sender: str, author: str, **extra: Any) -> Message:
        """A new message; its ts is unique and grows within the channel."""
        with self.lock:
            channel.last_us = max(said.at_ms * 1000, channel.last_us + 100)
            ts = f"{channel.last_us // 1_000_000}.{channel.last_us % 1_000_000:06d}"
            message = Message(
                channel=channel.id, channel_name=channel.name, ts=ts, at_ms=said.at_ms, sender=sender, author=author,
                history=[self._with_ids(said)], **extra,
            )  # fmt: skip
            channel.messages[ts] = message
            self._touch(message)
            return message

    def edit(self, message: Message, said: Version) -> None:
        """The message says this from now on."""
        with self.lock:
            message.history.append(self._with_ids(said))
            self._touch(message)

    def delete(self, message: Message) -> None:
        """The message is gone for people; it stays here, marked."""
        with self.lock:
            message.deleted = True
            self._touch(message)

    def message(self, channel: str, ts: str) -> Message:
        """A message that people can still see. Raises SlackError message_not_found."""
        found = self.find(channel).messages.get(ts)
        if found is None or found.deleted:
            raise SlackError("message_not_found")
        return found

    def messages(self, channel: str) -> list[Message]:
        """Copies of what people see in a channel, oldest first: posts, thread replies and ephemeral answers."""
        with self.lock:
            return [_copied(m) for m in self.find(channel).messages.values() if not m.deleted]

    def everything(self) -> list[Message]:
        """Copies of what people see in all channels, in the order it was posted."""
        with self.lock:
            found = [_copied(m) for c in self.channels.values() for m in c.messages.values() if not m.deleted]
        return sorted(found, key=lambda m: (m.at_ms, m.ts))

    def changed_since(self, revision: int, most: int = 2000) -> list[Message]:
        """What changed after a revision, the latest `most` of it, in the order of the changes."""
        found: list[Message] = []
        with self.lock:
            for (channel, ts), at in reversed(self._changed.items()):
                if at <= revision or len(found) >= most:
                    break
                found.append(_copied(self.channels[channel].messages[ts]))
        found.reverse()
        return found

    def _touch(self, message: Message) -> None:
        self.revision += 1
        key = (message.channel, message.ts)
        self._changed.pop(key, None)
        self._changed[key] = self.revision

    def _with_ids(self, said: Version) -> Version:
        """Slack names the blocks that their sender left without a block_id."""
        attachments = [{**a, "blocks": self._named(a["blocks"])} if a.get("blocks") else a for a in said.attachments]
        return Version(said.at_ms, said.text, self._named(said.blocks), attachments)

    def _named(self, blocks: list[Json]) -> list[Json]:
        named = []
        for block in blocks:
            if not block.get("block_id"):
                self._blocks_made += 1
                block = {**block, "block_id": f"b{self._blocks_made:x}"}
            named.append(block)
        return named


def _copied(message: Message) -> Message:
    other = copy.copy(message)
    other.history = list(message.history)
    return other
