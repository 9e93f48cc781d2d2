"""Slack's own rules for a message, written from its reference: what a real workspace would refuse, these refuse.

https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any


def length(text: str) -> int:
    """In UTF-16 units, the widest way to count."""
    return len(text.encode("utf-16-le")) // 2


def strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(key)
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def _text(found: dict[str, Any], limit: int, *, kinds: tuple[str, ...] = ("mrkdwn", "plain_text")) -> None:
    assert found["type"] in kinds
    assert 1 <= length(found["text"]) <= limit, length(found["text"])
    assert set(found) <= {"type", "text", "verbatim", "emoji"}
    assert ("verbatim" in found) <= (found["type"] == "mrkdwn")


def _element(element: dict[str, Any]) -> None:
    assert 1 <= length(element["action_id"]) <= 255
    if element["type"] == "button":
        _text(element["text"], 75, kinds=("plain_text",))
        assert 1 <= length(element["value"]) <= 2000
        assert element.get("style") in (None, "primary", "danger")
    else:
        assert element["type"] == "static_select"
        _text(element["placeholder"], 150, kinds=("plain_text",))
        assert 1 <= len(element["options"]) <= 100
        for option in element["options"]:
            _text(option["text"], 75, kinds=("plain_text",))
            assert 1 <= length(option["value"]) <= 150


def _block(block: dict[str, Any]) -> None:
    assert 1 <= length(block["block_id"]) <= 255
    if block["type"] == "section":
        assert "text" in block or block["fields"]
        if "text" in block:
            _text(block["text"], 3000)
        assert len(block.get("fields", [])) <= 10
        for field in block.get("fields", []):
            _text(field, 2000)
    elif block["type"] == "actions":
        assert 1 <= len(block["elements"]) <= 25
        actions = [element["action_id"] for element in block["elements"]]
        assert len(set(actions)) == len(actions)
        for element in block["elements"]:
            _element(element)
    else:
        assert block["type"] == "context"
        assert 1 <= len(block["elements"]) <= 10
        for element in block["elements"]:
            _text(element, 3000)


def acceptable(body: dict[str, Any]) -> None:
    """Asserts that Slack would take the message."""
    assert body["channel"]
    assert 1 <= length(body["text"]) < 3000, length(body["text"])
    assert body["parse"] == "none"
    assert body["link_names"] is False
    blocks = body.get("blocks", [])
    assert len(blocks) <= 50
    names = [block["block_id"] for block in blocks]
    assert len(set(names)) == len(names)
    for block in blocks:
        _block(block)
    assert sum(length(text) for text in strings(blocks)) < 13_000  # msg_blocks_too_long


_MARKUP = re.compile(r"<[^<>]*>")
_OURS = re.compile(r"<!date\^\d+\^\{date_short_pretty\} \{time\}\|[^<>|]+>|<https?://[^<>| ]+\|[^<>|]+>")


def pings(body: dict[str, Any]) -> set[str]:
    """The mentions in a message. Asserts that nothing else in it is markup but dates and links of ours."""
    found = set()
    for text in strings(body):
        for markup in _MARKUP.findall(text):
            if not _OURS.fullmatch(markup):
                found.add(markup)
        rest = _MARKUP.sub("", text)
        assert "<" not in rest, rest
        assert ">" not in rest, rest
    return found
