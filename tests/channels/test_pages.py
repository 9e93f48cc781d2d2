"""The how-to pages keep up with the channels: every error that needs a person, and the code that a receiver copies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from signalcraft.channels import CHANNELS, slack, webhook
from signalcraft.channels.slack.errors import BROKEN
from tests.channels.notes import NOTE
from tests.channels.test_webhook import CONFIG, SECRET, call

PAGES = Path(__file__).parents[2] / "docs/how-to/channels"


def text(kind: str) -> str:
    return (PAGES / f"{kind}.md").read_text("utf-8")


@pytest.mark.parametrize("kind", CHANNELS)
def test_every_channel_has_a_page_with_its_kind(kind: str) -> None:
    assert f'kind = "{kind}"' in text(kind)


@pytest.mark.parametrize("code", [*BROKEN, "missing_scope"])
def test_every_slack_error_that_needs_a_person_is_explained(code: str) -> None:
    assert f"`{code}`" in text("slack")


def test_the_manifests_ask_for_what_is_used_and_no_more() -> None:
    manifests = re.findall(r"```yaml\n(.*?)```", text("slack"), re.DOTALL)
    assert len(manifests) == 2
    for manifest in manifests:
        assert re.findall(r"^ +- ([a-z:.]+)$", manifest, re.MULTILINE) == ["chat:write", "chat:write.public"]
        assert "interactivity:\n    is_enabled: true" in manifest
    assert "socket_mode_enabled: true" in manifests[0]
    assert "/webhooks/slack/actions" in manifests[1]


def test_the_manifests_are_those_that_the_box_gives() -> None:
    """The page has the text of GET /api/channels/slack/manifest, so that neither can grow old alone."""
    shown = re.findall(r"```yaml\n(.*?)```", text("slack"), re.DOTALL)
    assert shown == [slack.manifest("socket", ""), slack.manifest("http", "https://alerts.example.com")]


@pytest.mark.parametrize(
    ("address", "mode"),
    [("https://alerts.example.com", "http"), ("http://box.local:8080", "socket"), ("", "socket")],
)
def test_buttons_come_back_over_https_only_where_there_is_some(address: str, mode: str) -> None:
    assert slack.suits(address)[0] == mode


def test_the_example_in_python_verifies_what_we_send() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text("webhook"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "webhook.md", "exec"), names)
    step = call()
    names["time"] = type("Clock", (), {"time": staticmethod(lambda: NOTE.now_ms / 1000)})
    assert names["verified"](SECRET, step.headers, step.body)
    assert not names["verified"](SECRET, step.headers, step.body + b" ")
    names["time"] = type("Clock", (), {"time": staticmethod(lambda: NOTE.now_ms / 1000 + 301)})
    assert not names["verified"](SECRET, step.headers, step.body)


def test_the_example_body_has_the_fields_we_send() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", text("webhook"), re.DOTALL)
    (sent,) = webhook.compose(CONFIG, NOTE, {})
    example, real = msgspec.json.decode(shown), msgspec.json.decode(sent.body)  # type: ignore[union-attr]
    assert list(example) == list(real)
    assert list(example["data"]) == list(real["data"])
    assert list(example["data"]["group"]) == list(real["data"]["group"])
    assert list(example["data"]["links"]) == list(real["data"]["links"])


def test_the_menu_is_described() -> None:
    for label, _ in slack.blocks.SNOOZES:
        assert label.lower() in text("slack").lower().replace("\n", " ")
