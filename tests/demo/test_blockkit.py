"""Every limit of Block Kit that the stand-in knows is enforced: one at it passes, one above does not."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.demo.slack import blockkit


def plain(n: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": "x" * n}


def mrkdwn(n: int) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": "x" * n}


def button(**extra: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain(3), **extra}


def actions(*elements: Any, **extra: Any) -> list[Any]:
    return [{"type": "actions", "elements": list(elements), **extra}]


def option(n: int, value: int = 5) -> dict[str, Any]:
    return {"text": plain(n), "value": "v" * value}


def overflow(options: int) -> dict[str, Any]:
    return {"type": "overflow", "action_id": "more", "options": [option(3)] * options}


def select(options: list[Any]) -> dict[str, Any]:
    return {"type": "static_select", "placeholder": plain(150), "options": options}


def confirm(title: int = 1, text: int = 1, yes: int = 1) -> dict[str, Any]:
    return {"title": plain(title), "text": mrkdwn(text), "confirm": plain(yes), "deny": plain(yes)}


def section(**extra: Any) -> list[Any]:
    return [{"type": "section", **extra}]


GOOD = [
    section(text=mrkdwn(3000)),
    section(fields=[mrkdwn(2000)] * 10),
    section(text=mrkdwn(1), accessory=overflow(5)),
    [{"type": "header", "text": plain(150)}],
    [{"type": "context", "elements": [mrkdwn(10)] * 10}],
    [{"type": "divider"}] * 50,
    [{"type": "markdown", "text": "x" * 12_000}],
    [{"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a" * 2000}],
    actions(*[button(action_id=f"a{n}") for n in range(25)]),
    actions(button(text=plain(75), value="v" * 2000, action_id="a" * 255, url="u" * 3000, style="danger")),
    actions(button(confirm=confirm(100, 300, 30)), block_id="b" * 255),
    actions(select([option(75, 150)] * 100)),
    [*actions(button(action_id="same")), *actions(button(action_id="same"))],
]
BAD = [
    (section(text=mrkdwn(3001)), "/blocks/0/text/text"),
    (section(text=mrkdwn(0)), "/blocks/0/text/text"),
    (section(text="plain string"), "/blocks/0/text"),
    (section(text={"type": "html", "text": "x"}), "/blocks/0/text/type"),
    (section(text={"type": "mrkdwn", "text": "x", "emoji": True}), "/blocks/0/text/emoji"),
    (section(), "/blocks/0"),
    (section(fields=[mrkdwn(2001)]), "/blocks/0/fields/0/text"),
    (section(fields=[mrkdwn(1)] * 11), "/blocks/0/fields"),
    (section(fields=[]), "/blocks/0/fields"),
    (section(text=mrkdwn(1), accessory=overflow(6)), "/blocks/0/accessory/options"),
    ([{"type": "header", "text": plain(151)}], "/blocks/0/text/text"),
    ([{"type": "header", "text": mrkdwn(5)}], "/blocks/0/text/type"),
    ([{"type": "context", "elements": [mrkdwn(10)] * 11}], "/blocks/0/elements"),
    ([{"type": "divider"}] * 51, "/blocks"),
    ([{"type": "markdown", "text": "x" * 12_001}], "/blocks/0/text"),
    ([{"type": "markdown", "text": "x" * 7_000}] * 2, "/blocks/1/text"),
    ([{"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a" * 2001}], "/blocks/0/alt_text"),
    ([{"type": "table"}], "/blocks/0/type"),
    (["text"], "/blocks/0"),
    (actions(*[button(action_id=f"a{n}") for n in range(26)]), "/blocks/0/elements"),
    (actions(), "/blocks/0/elements"),
    (actions(button(text=plain(76))), "/blocks/0/elements/0/text/text"),
    (actions(button(text=mrkdwn(5))), "/blocks/0/elements/0/text/type"),
    (actions(button(value="v" * 2001)), "/blocks/0/elements/0/value"),
    (actions(button(value=7)), "/blocks/0/elements/0/value"),
    (actions(button(url="u" * 3001)), "/blocks/0/elements/0/url"),
    (actions(button(style="default")), "/blocks/0/elements/0/style"),
    (actions(button(action_id="a" * 256)), "/blocks/0/elements/0/action_id"),
    (actions(button(action_id="x"), button(action_id="x")), "/blocks/0/elements/1/action_id"),
    (actions(button(), block_id="b" * 256), "/blocks/0/block_id"),
    ([*actions(button(), block_id="b"), *actions(button(), block_id="b")], "/blocks/1/block_id"),
    (actions(button(confirm=confirm(title=101))), "/blocks/0/elements/0/confirm/title/text"),
    (actions(button(confirm=confirm(text=301))), "/blocks/0/elements/0/confirm/text/text"),
    (actions(button(confirm=confirm(yes=31))), "/blocks/0/elements/0/confirm/confirm/text"),
    (actions(overflow(6)), "/blocks/0/elements/0/options"),
    (actions(select([option(3)] * 101)), "/blocks/0/elements/0/options"),
    (actions(select([option(76)])), "/blocks/0/elements/0/options/0/text/text"),
    (actions(select([option(3, 151)])), "/blocks/0/elements/0/options/0/value"),
    (actions({"type": "plain_text_input"}), "/blocks/0/elements/0/type"),
]


@pytest.mark.parametrize("blocks", GOOD, ids=range(len(GOOD)))
def test_at_the_limit(blocks: list[Any]) -> None:
    assert blockkit.check(blocks) == []


@pytest.mark.parametrize(("blocks", "pointer"), BAD, ids=[f"{n}{p}" for n, (_, p) in enumerate(BAD)])
def test_above_the_limit(blocks: list[Any], pointer: str) -> None:
    complaints = blockkit.check(blocks)
    assert any(c.endswith(f"[json-pointer:{pointer}]") for c in complaints), complaints


_words = st.text(string.ascii_letters, max_size=8)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=8,
)
_kinds = st.sampled_from(["section", "header", "actions", "context", "image", "markdown", "rich_text", "divider"])
_names = ["text", "fields", "elements", "accessory", "block_id", "alt_text"]


@given(st.lists(st.fixed_dictionaries({"type": _kinds}, optional=dict.fromkeys(_names, _json)) | _json, max_size=4))
def test_whatever_it_is_given_it_answers(blocks: list[Any]) -> None:
    assert all("json-pointer:/blocks" in complaint for complaint in blockkit.check(blocks))
