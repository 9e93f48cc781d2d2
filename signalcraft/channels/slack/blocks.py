"""What a Slack message of an alert group looks like: Block Kit, always with a text for clients that show none.

Limits (https://docs.slack.dev/reference/block-kit/blocks): section text 3000, fields 10 × 2000, actions 25 elements,
context 10, button text 75, button value 2000, option value 150, block_id 255 and unique in its message. We stay far
under them, so that a message is also short enough to read.
"""

from __future__ import annotations

from typing import Any

from signalcraft.channels.slack.text import date, fit, link, size
from signalcraft.domain.delivery import Note
from signalcraft.domain.wording import facts, lead, mark, one_line, place, status, title

Block = dict[str, Any]

TEXT_MAX = 2900
TITLE_MAX = 300
FIELD_MAX = 300
EXCERPT_MAX = 700
EXCERPT_LINES = 12
TAGS_SHOWN = 8

SNOOZES = (("30 minutes", "30"), ("1 hour", "60"), ("4 hours", "240"), ("Until 9:00", "nine"))
"""What the menu offers: (label, what stands behind the group's id in the option's value)."""


_TICKS = "`\u200b`\u200b`"
"""Three backticks that do not end a code block."""


def whole(note: Note, ping: str) -> dict[str, Any]:
    """`text` and `blocks` of a group's own message. `ping` is ready mrkdwn, "" for none."""
    if note.plain:
        return {"text": _plain(note, ping)}
    parts = [
        _head(note, ping),
        _fields(note),
        _excerpt(note),
        _memory(note),
        *_links(note),
        _actions(note),
        _context(note),
    ]
    return {"text": headline(note, ping), "blocks": [part for part in parts if part is not None]}


def short(note: Note, ping: str) -> dict[str, Any]:
    """`text` and `blocks` of an answer in the group's thread."""
    said = headline(note, ping)
    if note.plain:
        return {"text": _plain(note, ping)}
    lines = [_joined(ping, mark(note.group), f"*{_title(note)}*"), fit(lead(note), 600)]
    if note.group.resolution_note and note.kind == "resolved":
        lines.append(f"“{fit(one_line(note.group.resolution_note, 300), 600)}”")
    parts: list[Block | None] = [_section(note, "head", "\n".join(line for line in lines if line))]
    if note.kind != "resolved":
        parts += [*_links(note), _actions(note)]
    return {"text": said, "blocks": [part for part in parts if part is not None]}


def trial(note: Note) -> dict[str, Any]:
    """`text` and `blocks` of a test message."""
    words = "✅ SignalCraft can post here. This is a test: nothing is wrong, and nothing needs doing."
    said = {"text": words}
    if note.plain:
        return said
    open_page = link(note.page_url, "Open SignalCraft")
    return {**said, "blocks": [_section(note, "head", _joined(words, open_page))]}


def headline(note: Note, ping: str) -> str:
    """The message in one line: what a phone's lock screen and a screen reader get."""
    group = note.group
    severity = fit(one_line(group.severity, 40).upper(), 60)
    where = fit(place(group), 300)
    tail = "".join(f" · {part}" for part in (where, fit(lead(note), 600)) if part)
    return _joined(ping, mark(group), f"{severity}: {_title(note)}{tail}")


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _title(note: Note) -> str:
    return fit(title(note.group, TITLE_MAX), TITLE_MAX * 2)


def _id(note: Note, name: str) -> str:
    # Slack keeps what was chosen in a menu under the block's id: a new delivery starts afresh.
    return f"{name}.{note.delivery_id}"[:255]


def _text(words: str) -> Block:
    # verbatim: Slack looks for no channel names, addresses or mentions in other people's words.
    return {"type": "mrkdwn", "text": words, "verbatim": True}


def _section(note: Note, name: str, words: str) -> Block:
    return {"type": "section", "block_id": _id(note, name), "text": _text(words)}


def _head(note: Note, ping: str) -> Block:
    lines = [_joined(ping, mark(note.group), f"*{_title(note)}*")]
    said = lead(note)
    if said:
        lines.append(fit(said, 600))
    if note.group.status != "open" and note.kind != "resolved":
        words = _status(note)
        lines.append(words[0].upper() + words[1:])
    if note.group.status == "resolved" and note.group.resolution_note:
        lines.append(f"“{fit(one_line(note.group.resolution_note, 300), 600)}”")
    return _section(note, "head", "\n".join(lines))


def _status(note: Note) -> str:
    until = note.group.snoozed_until_ms
    if note.group.status == "snoozed" and until is not None:
        return f"snoozed until {date(until, note.timezone)}"
    return fit(status(note), FIELD_MAX)


def _fields(note: Note) -> Block:
    group = note.group
    special = {
        "Status": _status(note),
        "First seen": date(group.first_seen_ms, note.timezone),
        "Last seen": date(group.last_seen_ms, note.timezone),
    }
    fields = [
        _text(f"*{label}*\n{special.get(label) or fit(value, FIELD_MAX)}")
        for label, value in facts(note)
        if label != "Source"
    ]
    return {"type": "section", "block_id": _id(note, "facts"), "fields": fields[:10]}


def _excerpt(note: Note) -> Block | None:
    raw = note.group.message
    lines = raw[: EXCERPT_MAX * 2].strip().splitlines()
    words = "\n".join(lines[:EXCERPT_LINES])
    if not words.strip() or one_line(words) == title(note.group):
        return None
    if len(lines) > EXCERPT_LINES or len(raw) > EXCERPT_MAX * 2:
        words += "\n…"
    return _section(note, "message", f"```{fit(words.replace('```', _TICKS), EXCERPT_MAX)}```")


def _memory(note: Note) -> Block | None:
    return _section(note, "memory", f"💡 {fit(one_line(note.group.memory, 300), 600)}") if note.group.memory else None


def _links(note: Note) -> list[Block]:
    group = note.group
    source = fit(one_line(group.source, 40), 80).replace("|", " ")
    found = [
        link(note.ack_url, "Acknowledge by link") if group.status == "open" else "",
        link(group.runbook_url, "📖 Runbook"),
        link(group.link, f"View in {source}" if source else "View at the source"),
        link(note.page_url, "Open in SignalCraft"),
    ]
    rows: list[str] = []
    for item in found:
        if not item:
            continue
        if rows and size(rows[-1]) + size(item) < TEXT_MAX:
            rows[-1] += f"  ·  {item}"
        else:
            rows.append(item)
    return [_section(note, f"links{n}", row) for n, row in enumerate(rows)]


def _button(action: str, label: str, value: str, style: str = "") -> Block:
    button: Block = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": label},
        "value": value,
    }
    return {**button, "style": style} if style else button


def _snooze_menu(group_id: str) -> Block:
    return {
        "type": "static_select",
        "action_id": "snooze_for",
        "placeholder": {"type": "plain_text", "text": "Snooze for…"},
        "options": [
            {"text": {"type": "plain_text", "text": label}, "value": f"{group_id}:{what}"} for label, what in SNOOZES
        ],
    }


def _actions(note: Note) -> Block | None:
    group = note.group
    ack = _button("ack", "Acknowledge", group.id, "primary")
    snooze = [_button("snooze", "Snooze 1 h", group.id), _snooze_menu(group.id)]
    resolve = _button("resolve", "Resolve", group.id, "danger")
    elements = {
        "open": [ack, *snooze, resolve],
        "acknowledged": [*snooze, resolve],
        "snoozed": [_button("unsnooze", "Unsnooze", group.id, "primary"), resolve],
        "resolved": [],
    }[group.status]
    return {"type": "actions", "block_id": _id(note, "actions"), "elements": elements} if elements else None


def _context(note: Note) -> Block:
    group = note.group
    tags = [f"{one_line(k, 40)}: {one_line(v, 80)}" for k, v in list(group.tags.items())[:TAGS_SHOWN]]
    said = " · ".join([one_line(group.source, 60), *tags, group.id])
    return {"type": "context", "block_id": _id(note, "context"), "elements": [_text(fit(said.strip(" ·"), 1200))]}


def _plain(note: Note, ping: str) -> str:
    """The whole message as text alone, for when Slack would not take the blocks."""
    lines = [headline(note, ping)]
    left = TEXT_MAX - size(lines[0])
    for line in (
        link(note.ack_url, "Acknowledge") if note.group.status == "open" else "",
        link(note.page_url, "Open in SignalCraft"),
        *(f"{label}: {fit(value, FIELD_MAX)}" for label, value in facts(note)),
        link(note.group.runbook_url, "Runbook"),
        link(note.group.link, "View at the source"),
    ):
        left -= size(line) + 1
        if line and left >= 0:
            lines.append(line)
        else:
            left += size(line) + 1
    return "\n".join(lines)
