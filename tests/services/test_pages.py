"""The pages about rules and the apply file: what they show works, and they name every word there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from signalcraft.domain.matcher import FIELDS, OPERATORS
from signalcraft.services import applyfile
from signalcraft.services.configure import rules
from signalcraft.services.kinds import CHANNEL_KINDS, SOURCE_KINDS
from tests.services.desk import Desk

DOCS = Path(__file__).parents[2] / "docs"
ROUTING = (DOCS / "how-to" / "routing-rules.md").read_text("utf-8")
FILE = (DOCS / "reference" / "apply-file.md").read_text("utf-8")
LINES = """
[[channels]]
name = "{}"
kind = "webhook"
url = "https://example.com/"
"""


def blocks(page: str) -> list[str]:
    return re.findall(r"```toml\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("text", blocks(ROUTING))
def test_every_example_of_a_rule_can_be_applied(desk: Desk, text: str) -> None:
    desk.apply("".join(map(LINES.format, ("oncall", "leads", "payments", "mail"))))
    done = desk.apply(text)
    assert {step.action for step in done.steps} <= {"create", "update"}


def test_the_example_of_the_file_can_be_applied(desk: Desk) -> None:
    (text,) = blocks(FILE)
    desk.apply(text.replace("xoxb-…", "xoxb-1").replace('"…"', '"0123456789abcdef"'))
    assert {step.action for step in desk.apply(desk.export(), prune=True).steps} == {"keep"}
    (from_elsewhere,) = re.findall(r"```toml in a file for apply\n(.*?)```", FILE, re.DOTALL)
    doc = applyfile.resolve(applyfile.parse(from_elsewhere), lambda path: "read", lambda name: "xoxb-2")
    assert desk.change(lambda edit: applyfile.apply(edit, doc)).steps[0].changes == ["bot_token: changed"]


def test_every_word_stands_in_the_pages() -> None:
    for word in (*FIELDS, *OPERATORS):
        assert f"`{word}`" in ROUTING, word
    for word in rules.Draft.__struct_fields__:
        assert f"`{word}`" in FILE, word
    for kind in (*SOURCE_KINDS, *CHANNEL_KINDS):
        assert f"[{kind}](" in FILE, kind
