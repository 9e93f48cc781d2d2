"""Block Kit's limits, as Slack enforces them (https://docs.slack.dev/reference/block-kit).

`check(blocks)` returns Slack's complaints, each with the JSON pointer of what is wrong, as `response_metadata.messages`
of an `invalid_blocks` answer carries them. An empty list: Slack would take it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

BLOCKS_MAX = 50
TOTAL_MAX = 13_200
"""Characters of all blocks together, above which chat.postMessage says msg_blocks_too_long. Undocumented; measured in
https://github.com/slackapi/bolt-js/issues/2509 as about 13,200 of the written JSON."""

_SECTION_TEXT, _FIELDS, _FIELD_TEXT, _HEADER_TEXT = 3000, 10, 2000, 150
_ELEMENTS, _CONTEXT_ELEMENTS, _BUTTON_TEXT, _VALUE, _ID, _URL = 25, 10, 75, 2000, 255, 3000
_OVERFLOW, _OPTIONS, _OPTION_TEXT, _OPTION_VALUE, _PLACEHOLDER = 5, 100, 75, 150, 150
_ALT, _IMAGE_TITLE, _MARKDOWN = 2000, 2000, 12_000
_SELECTS = ("users_select", "conversations_select", "channels_select", "external_select")

_Json = dict[str, Any]


class _Check:
    """Gathers complaints over one message."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.block_ids: set[str] = set()
        self.action_ids: set[str] = set()
        self.markdown = 0

    def say(self, what: str, at: str) -> None:
        self.found.append(f"[ERROR] {what} [json-pointer:{at}]")

    def text(self, value: Any, at: str, most: int, *, plain: bool = False, least: int = 1) -> None:
        """A text object {type, text} of `least` to `most` characters."""
        if not isinstance(value, dict):
            self.say("must provide an object", at)
            return
        kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
        if value.get("type") not in kinds:
            self.say(f"must be one of: {', '.join(kinds)}", f"{at}/type")
        if value.get("type") == "mrkdwn" and "emoji" in value:
            self.say("no more than 0 properties named: emoji", f"{at}/emoji")
        self.string(value.get("text"), f"{at}/text", most, least=least)

    def string(self, value: Any, at: str, most: int, *, least: int = 1) -> None:
        """A string of `least` to `most` characters."""
        if not isinstance(value, str):
            self.say("must be a string", at)
        elif len(value) > most:
            self.say(f"must be less than {most + 1} characters", at)
        elif len(value) < least:
            self.say(f"must be more than {least - 1} characters", at)

    def many(self, value: Any, at: str, most: int, *, least: int = 1) -> list[Any]:
        """A list of `least` to `most` items; what cannot be walked comes back empty."""
        if not isinstance(value, list):
            self.say("must provide an array", at)
            return []
        if len(value) > most:
            self.say(f"no more than {most} items allowed", at)
        if len(value) < least:
            self.say(f"no fewer than {least} items allowed", at)
        return value

    def block(self, block: Any, at: str) -> None:
        if not isinstance(block, dict):
            self.say("must provide an object", at)
            return
        self.action_ids = set()
        if (block_id := block.get("block_id")) is not None:
            self.string(block_id, f"{at}/block_id", _ID, least=0)
            if isinstance(block_id, str) and block_id:
                if block_id in self.block_ids:
                    self.say(f'block_id "{block_id}" already exists', f"{at}/block_id")
                self.block_ids.add(block_id)
        check = _BLOCKS.get(str(block.get("type")))
        if check is None:
            self.say(f"unsupported type: {block.get('type')}", f"{at}/type")
        else:
            check(self, block, at)

    def element(self, element: Any, at: str) -> None:
        """An interactive element of an actions block, or a section's accessory."""
        if not isinstance(element, dict):
            self.say("must provide an object", at)
            return
        kind = str(element.get("type"))
        check = _ELEMENT_CHECKS.get(kind)
        if check is None:
            self.say(f"unsupported type: {kind}", f"{at}/type")
            return
        if kind != "image":
            self.action(element, at)
        check(self, element, at)

    def action(self, element: _Json, at: str) -> None:
        action_id = element.get("action_id")
        if action_id is not None:
            self.string(action_id, f"{at}/action_id", _ID)
            if action_id in self.action_ids:
                self.say(f'action_id "{action_id}" already exists in this block', f"{at}/action_id")
            self.action_ids.add(str(action_id))
        if "confirm" in element:
            self.confirm(element["confirm"], f"{at}/confirm")

    def confirm(self, value: Any, at: str) -> None:
        if not isinstance(value, dict):
            self.say("must provide an object", at)
            return
        self.text(value.get("title"), f"{at}/title", 100, plain=True)
        self.text(value.get("text"), f"{at}/text", 300)
        for name in ("confirm", "deny"):
            if name in value:
                self.text(value[name], f"{at}/{name}", 30, plain=True)
        self.style(value, at)

    def style(self, value: _Json, at: str) -> None:
        if "style" in value and value["style"] not in ("primary", "danger"):
            self.say("must be one of: primary, danger", f"{at}/style")

    def options(self, value: Any, at: str, most: int, *, plain: bool = True) -> None:
        for n, option in enumerate(self.many(value, at, most)):
            where = f"{at}/{n}"
            if not isinstance(option, dict):
                self.say("must provide an object", where)
                continue
            self.text(option.get("text"), f"{where}/text", _OPTION_TEXT, plain=plain)
            self.string(option.get("value"), f"{where}/value", _OPTION_VALUE)
            if "description" in option:
                self.text(option["description"], f"{where}/description", _OPTION_TEXT, plain=plain)
            if "url" in option:
                self.string(option["url"], f"{where}/url", _URL)


def _section(c: _Check, b: _Json, at: str) -> None:
    if "text" not in b and "fields" not in b:
        c.say("missing required field: text or fields", at)
    if "text" in b:
        c.text(b["text"], f"{at}/text", _SECTION_TEXT)
    if "fields" in b:
        for n, field in enumerate(c.many(b["fields"], f"{at}/fields", _FIELDS)):
            c.text(field, f"{at}/fields/{n}", _FIELD_TEXT)
    if "accessory" in b:
        c.element(b["accessory"], f"{at}/accessory")


def _header(c: _Check, b: _Json, at: str) -> None:
    c.text(b.get("text"), f"{at}/text", _HEADER_TEXT, plain=True)


def _actions(c: _Check, b: _Json, at: str) -> None:
    for n, element in enumerate(c.many(b.get("elements"), f"{at}/elements", _ELEMENTS)):
        if isinstance(element, dict) and element.get("type") == "image":
            c.say("unsupported type: image", f"{at}/elements/{n}/type")
        else:
            c.element(element, f"{at}/elements/{n}")


def _context(c: _Check, b: _Json, at: str) -> None:
    for n, element in enumerate(c.many(b.get("elements"), f"{at}/elements", _CONTEXT_ELEMENTS)):
        if isinstance(element, dict) and element.get("type") == "image":
            _image_element(c, element, f"{at}/elements/{n}")
        else:
            c.text(element, f"{at}/elements/{n}", _SECTION_TEXT)


def _divider(c: _Check, b: _Json, at: str) -> None:
    """Nothing in it can be wrong."""


def _image_element(c: _Check, e: _Json, at: str) -> None:
    if "slack_file" not in e:
        c.string(e.get("image_url"), f"{at}/image_url", _URL)
    c.string(e.get("alt_text"), f"{at}/alt_text", _ALT)


def _image(c: _Check, b: _Json, at: str) -> None:
    _image_element(c, b, at)
    if "title" in b:
        c.text(b["title"], f"{at}/title", _IMAGE_TITLE, plain=True)


def _markdown(c: _Check, b: _Json, at: str) -> None:
    c.string(b.get("text"), f"{at}/text", _MARKDOWN)
    c.markdown += len(b["text"]) if isinstance(b.get("text"), str) else 0
    if c.markdown > _MARKDOWN:
        c.say(f"all markdown blocks together must be less than {_MARKDOWN + 1} characters", f"{at}/text")


def _rich_text(c: _Check, b: _Json, at: str) -> None:
    c.many(b.get("elements"), f"{at}/elements", 1000)


def _button(c: _Check, e: _Json, at: str) -> None:
    c.text(e.get("text"), f"{at}/text", _BUTTON_TEXT, plain=True)
    if "value" in e:
        c.string(e["value"], f"{at}/value", _VALUE)
    if "url" in e:
        c.string(e["url"], f"{at}/url", _URL)
    if "accessibility_label" in e:
        c.string(e["accessibility_label"], f"{at}/accessibility_label", _BUTTON_TEXT)
    c.style(e, at)


def _overflow(c: _Check, e: _Json, at: str) -> None:
    c.options(e.get("options"), f"{at}/options", _OVERFLOW)


def _static_select(c: _Check, e: _Json, at: str) -> None:
    if "placeholder" in e:
        c.text(e["placeholder"], f"{at}/placeholder", _PLACEHOLDER, plain=True)
    if "option_groups" not in e:
        c.options(e.get("options"), f"{at}/options", _OPTIONS)
        return
    for n, group in enumerate(c.many(e["option_groups"], f"{at}/option_groups", _OPTIONS)):
        where = f"{at}/option_groups/{n}"
        group = group if isinstance(group, dict) else {}
        c.text(group.get("label"), f"{where}/label", _OPTION_TEXT, plain=True)
        c.options(group.get("options"), f"{where}/options", _OPTIONS)


def _picker(c: _Check, e: _Json, at: str) -> None:
    if "placeholder" in e:
        c.text(e["placeholder"], f"{at}/placeholder", _PLACEHOLDER, plain=True)


def _choices(c: _Check, e: _Json, at: str) -> None:
    c.options(e.get("options"), f"{at}/options", 10, plain=False)


_Walk = Callable[[_Check, _Json, str], None]
_BLOCKS: dict[str, _Walk] = {
    "section": _section, "header": _header, "actions": _actions, "context": _context, "divider": _divider,
    "image": _image, "markdown": _markdown, "rich_text": _rich_text,
}  # fmt: skip
_ELEMENT_CHECKS: dict[str, _Walk] = {
    "button": _button, "overflow": _overflow, "static_select": _static_select, "image": _image_element,
    "datepicker": _picker, "timepicker": _picker, "radio_buttons": _choices, "checkboxes": _choices,
    **dict.fromkeys(_SELECTS, _picker),
}  # fmt: skip


def check(blocks: list[Any], at: str = "/blocks") -> list[str]:
    """Slack's complaints about a message's blocks; [] where it has none."""
    c = _Check()
    if len(blocks) > BLOCKS_MAX:
        c.say(f"no more than {BLOCKS_MAX} items allowed", at)
    for n, block in enumerate(blocks):
        c.block(block, f"{at}/{n}")
    return c.found


def too_long(blocks: list[Any]) -> bool:
    """Whether the blocks together pass what chat.postMessage takes."""
    return len(msgspec.json.encode(blocks).decode()) > TOTAL_MAX
