"""Channels: made, changed, broken and mended, tried out, deleted when nobody needs them."""

from __future__ import annotations

from typing import Any

import pytest

from signalcraft.errors import Conflict, Invalid
from signalcraft.services.configure import channels, mark_broken, mark_ok, workspace
from signalcraft.storage import channels as channel_rows
from tests.services.desk import Desk


def update_channel(desk: Desk, row: Any, whole: bool = False, **fields: Any) -> list[str]:
    draft = channels.Draft(**fields)
    return desk.change(lambda edit: channels.update(edit, channel_rows.get(edit.tx, 1, row.id), draft, whole=whole))


def test_a_new_channel_is_in_use_when_it_is_answered(desk: Desk) -> None:
    row, once = desk.channel()
    live = desk.snapshot.channels[row.id]
    assert (live.name, live.kind, live.state) == ("oncall", "slack", "ok")
    assert live.config.bot_token == "xoxb-1-canary"
    assert live.config.api_url == desk.settings.slack.api_url
    assert once.secret is None


def test_a_webhook_channel_gets_a_secret(desk: Desk) -> None:
    row, once = desk.channel("hook", "webhook", url="https://example.com/")
    assert once.secret.startswith("whsec_")
    assert desk.snapshot.channels[row.id].config.secret == once.secret


@pytest.mark.parametrize(
    ("name", "kind", "config", "path"),
    [
        ("x", "slak", {}, "kind"),
        ("x", "slack", {"api_url": "https://evil.example/"}, "config.api_url"),
        ("x", "slack", {"bot_token": ""}, "config.bot_token"),
        ("x", "slack", {"channel": "a b"}, "config.channel"),
        ("x", "webhook", {}, "config.url"),
        ("x", "webhook", {"url": "ftp://x"}, "config.url"),
        ("x", "email", {"host": "mail.example.com", "sender": "a@b.c", "recipients": []}, "config.recipients"),
    ],
)
def test_what_no_channel_can_be(desk: Desk, name: str, kind: str, config: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        desk.channel(name, kind, **config)
    assert path in [p for p, _ in caught.value.errors]
    assert desk.snapshot.channels == {}


def test_a_broken_channel_is_said_and_mended_by_a_change(desk: Desk) -> None:
    row, _ = desk.channel()
    assert desk.db.call(lambda tx: mark_broken(tx, desk.registry, row.id, "token_revoked", desk.now_ms))
    assert not desk.db.call(lambda tx: mark_broken(tx, desk.registry, row.id, "token_revoked", desk.now_ms + 5))
    live = desk.snapshot.channels[row.id]
    assert (live.state, live.broken_why) == ("broken", "token_revoked")
    stored = desk.look(lambda reader: channel_rows.get(reader, 1, row.id))
    assert (stored.state, stored.broken_why, stored.broken_ms) == ("broken", "token_revoked", desk.now_ms)
    assert update_channel(desk, row, name="on-call") != []
    assert desk.snapshot.channels[row.id].state == "broken"  # another name mends nothing
    assert update_channel(desk, row, config={"bot_token": "xoxb-2-canary"}) == ["bot_token: changed"]
    assert desk.snapshot.channels[row.id].state == "ok"
    assert desk.look(lambda reader: channel_rows.get(reader, 1, row.id)).broken_why is None


def test_a_delivery_can_mend_a_channel(desk: Desk) -> None:
    row, _ = desk.channel()
    assert not desk.db.call(lambda tx: mark_ok(tx, desk.registry, row.id, desk.now_ms))
    desk.db.call(lambda tx: mark_broken(tx, desk.registry, row.id, "channel_not_found", desk.now_ms))
    assert desk.db.call(lambda tx: mark_ok(tx, desk.registry, row.id, desk.now_ms))
    assert desk.snapshot.channels[row.id].state == "ok"
    assert [verb for verb, _ in desk.journal()] == ["channel.created", "channel.broken", "channel.mended"]


def test_a_transaction_that_fails_marks_nothing(desk: Desk) -> None:
    row, _ = desk.channel()

    def work(tx: Any) -> None:
        mark_broken(tx, desk.registry, row.id, "token_revoked", desk.now_ms)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        desk.db.call(work)
    assert desk.snapshot.channels[row.id].state == "ok"


def test_a_channel_in_use_is_not_deleted(desk: Desk) -> None:
    row, _ = desk.channel()
    desk.channel("leads")
    desk.rule("loud one")
    desk.rule("slow one", channels=["leads"], escalate_after_minutes=5, escalate_to=["oncall"])
    draft = workspace.Draft(default_channels=["oncall"], fallback_channel="oncall")
    desk.change(lambda edit: workspace.update(edit, draft))
    with pytest.raises(Conflict) as caught:
        desk.change(lambda edit: channels.delete(edit, channel_rows.get(edit.tx, 1, row.id)))
    for user in ('"loud one"', '"slow one"', "default channels", "fallback channel"):
        assert user in caught.value.detail
    assert row.id in desk.snapshot.channels


def test_a_deleted_channel_is_owed_nothing(desk: Desk) -> None:
    row, _ = desk.channel()
    delivery_id = desk.change(lambda edit: channels.try_out(edit, channel_rows.get(edit.tx, 1, row.id)))
    state = "select kind, state from delivery where id = ?"
    assert desk.look(lambda reader: reader.one(state, (delivery_id,))) == ("test", "owed")
    desk.change(lambda edit: channels.delete(edit, channel_rows.get(edit.tx, 1, row.id)))
    assert desk.look(lambda reader: reader.one(state, (delivery_id,))) == ("test", "dropped")
    assert desk.snapshot.channels == {}


def test_tokens_of_a_vendor_are_not_rotated_here(desk: Desk) -> None:
    row, _ = desk.channel()
    with pytest.raises(Conflict, match="come from its vendor"):
        desk.change(lambda edit: channels.rotate(edit, channel_rows.get(edit.tx, 1, row.id)))
