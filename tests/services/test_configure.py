"""Integrations and the workspace: made, changed, rotated, deleted; in use at once, journalled, secrets sealed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from signalcraft.errors import Conflict, Invalid, NotFound
from signalcraft.services.configure import channels, integrations, workspace
from signalcraft.storage import channels as channel_rows
from signalcraft.storage import integrations as integration_rows
from tests.services.desk import SAM, Desk

MINUTE = 60_000


def update_integration(desk: Desk, row: Any, whole: bool = False, **fields: Any) -> list[str]:
    draft = integrations.Draft(**fields)
    return desk.change(
        lambda edit: integrations.update(edit, integration_rows.get(edit.tx, 1, row.id), draft, whole=whole)
    )


def rotate(desk: Desk, row: Any, **how: Any) -> Any:
    return desk.change(lambda edit: integrations.rotate(edit, integration_rows.get(edit.tx, 1, row.id), **how))


# -- integrations -----------------------------------------------------------------------------------------------------


def test_a_new_integration_is_in_use_when_it_is_answered(desk: Desk) -> None:
    row, once = desk.integration(secret="canary-client-secret", default_severity="high")
    assert once.webhook_url == f"https://alerts.example.com/webhooks/sentry/{once.token}"
    assert len(once.token) >= 32
    assert once.secret is None  # it was given: nothing to tell
    live = desk.by_token(once.token)
    assert live is not None
    assert (live.id, live.name, live.kind, live.scope) == (row.id, "sentry-prod", "sentry", "sentry")
    assert live.config.secret == "canary-client-secret"
    assert live.require_signature
    assert live.default_severity is not None
    assert live.default_severity.label == "high"
    assert desk.by_token(once.token, "generic") is None
    assert desk.by_token(once.token + "x") is None


def test_nothing_secret_is_stored_in_the_clear(desk: Desk) -> None:
    _, once = desk.integration(secret="canary-client-secret")
    desk.channel()
    desk.change(
        lambda edit: channels.update(
            edit,
            channel_rows.every(edit.tx)[0],
            channels.Draft(config={"signing_secret": "canary-signing"}),
            whole=False,
        )
    )
    raw = repr(desk.everything())
    assert "sentry-prod" in raw
    for secret in ("canary", once.token):
        assert secret not in raw


def test_a_secret_that_is_left_out_is_made_and_told_once(desk: Desk) -> None:
    _, once = desk.integration()
    assert len(once.secret) == 64
    live = desk.by_token(once.token)
    assert live is not None
    assert live.config.secret == once.secret
    _, generic = desk.integration("g", "generic", require_signature=True)
    assert generic.secret.startswith("whsec_")


@pytest.mark.parametrize(
    ("kind", "config"),
    [("sentry", {"require_signature": False}), ("sentry", {"secret": ""}), ("generic", {})],
)
def test_an_integration_without_signatures_says_so(desk: Desk, kind: str, config: dict[str, Any]) -> None:
    row, once = desk.integration("open", kind, **config)
    assert once.secret is None
    live = desk.registry.by_token(kind, once.token, desk.now_ms)
    assert live is not None
    assert not live.require_signature
    seen = desk.look(lambda reader: integrations.seen(reader, desk.registry, row))
    assert "without a signature" in seen.warnings[0]


def test_a_generic_integration_is_a_scope_of_its_own(desk: Desk) -> None:
    one, _ = desk.integration("one", "generic")
    two, _ = desk.integration("two", "generic")
    assert desk.snapshot.integrations[one.id].scope != desk.snapshot.integrations[two.id].scope


def test_a_token_may_be_given(desk: Desk) -> None:
    _, once = desk.integration(token="a-given-token-1")
    assert once.token == "a-given-token-1"
    assert desk.by_token("a-given-token-1") is not None
    with pytest.raises(Conflict) as caught:
        desk.integration("other", token="a-given-token-1")
    assert caught.value.path == "token"
    assert len(desk.snapshot.integrations) == 1


@pytest.mark.parametrize(
    ("fields", "path", "says"),
    [
        ({"name": ""}, "name", "1 to 100"),
        ({"name": " x"}, "name", "no space"),
        ({"name": "a\nb"}, "name", "visible"),
        ({"kind": "sentri"}, "kind", "did you mean sentry?"),
        ({"token": "short"}, "token", "8 to 200"),
        ({"token": "with/slash-in-it"}, "token", "8 to 200"),
        ({"secrt": "x"}, "config.secrt", "did you mean secret?"),
        ({"secret": 5}, "config.secret", "Expected `str`"),
        ({"secret": "kept"}, "config.secret", "no stored secret"),
        ({"default_severity": "bad"}, "config.default_severity", "default_severity must be one of"),
        ({"require_signature": "yes"}, "config.require_signature", "bool"),
        ({"require_signature": True, "secret": ""}, "config.secret", "only where there is a secret"),
    ],
)
def test_what_no_integration_can_be(desk: Desk, fields: dict[str, Any], path: str, says: str) -> None:
    before = desk.everything()
    with pytest.raises(Invalid) as caught:
        desk.integration(**fields)
    assert [p for p, _ in caught.value.errors] == [path]
    assert says in caught.value.errors[0][1]
    assert desk.everything() == before


def test_names_are_unique(desk: Desk) -> None:
    row, _ = desk.integration()
    other, _ = desk.integration("other")
    with pytest.raises(Conflict, match='"sentry-prod" is taken'):
        desk.integration()
    with pytest.raises(Conflict):
        update_integration(desk, other, name="sentry-prod")
    assert update_integration(desk, row, name="sentry-prod") == []


def test_a_patch_changes_what_it_names(desk: Desk) -> None:
    row, once = desk.integration(secret="first-secret", default_severity="high")
    assert update_integration(desk, row, name="sentry") == ['name: "sentry-prod" → "sentry"']
    assert update_integration(desk, row, config={"default_severity": "low"}) == ['default_severity: "high" → "low"']
    assert update_integration(desk, row, config={"secret": "second-secret"}) == ["secret: changed"]
    live = desk.by_token(once.token)
    assert live is not None
    assert (live.name, live.config.secret, live.config.default_severity) == ("sentry", "second-secret", "low")
    assert update_integration(desk, row, config={"secret": "second-secret"}) == []
    assert update_integration(desk, row, enabled=False) == ["enabled: true → false"]
    live = desk.by_token(once.token)
    assert live is not None
    assert not live.enabled


def test_a_whole_update_puts_back_defaults_and_keeps_secrets(desk: Desk) -> None:
    row, once = desk.integration(secret="first-secret", default_severity="high")
    update_integration(desk, row, enabled=False)
    changes = update_integration(desk, row, whole=True, name="sentry-prod", config={"secret": "kept"})
    assert changes == ["enabled: false → true", 'default_severity: "high" → ""']
    live = desk.by_token(once.token)
    assert live is not None
    assert live.config.secret == "first-secret"


def test_a_secret_can_be_taken_away(desk: Desk) -> None:
    row, once = desk.integration(secret="first-secret")
    assert update_integration(desk, row, config={"secret": ""}) == ["secret: removed"]
    live = desk.by_token(once.token)
    assert live is not None
    assert not live.require_signature


def test_a_kind_stays(desk: Desk) -> None:
    row, _ = desk.integration()
    with pytest.raises(Invalid, match="a kind cannot be changed"):
        update_integration(desk, row, kind="generic")


def test_a_deleted_integration_is_unknown_at_once(desk: Desk) -> None:
    row, once = desk.integration()
    desk.change(lambda edit: integrations.delete(edit, integration_rows.get(edit.tx, 1, row.id)))
    assert desk.by_token(once.token) is None
    with pytest.raises(NotFound):
        desk.look(lambda reader: integration_rows.get(reader, 1, row.id))


def test_both_tokens_work_while_a_rotation_overlaps(desk: Desk) -> None:
    row, old = desk.integration(secret="vendors-secret")
    new = rotate(desk, row, overlap_minutes=10)
    assert new.secret is None  # Sentry makes its own
    assert new.token != old.token
    assert desk.by_token(old.token) is desk.by_token(new.token) is not None
    desk.now_ms += 10 * MINUTE
    assert desk.by_token(old.token) is None
    assert desk.by_token(new.token) is not None


def test_both_secrets_work_while_a_rotation_overlaps(desk: Desk) -> None:
    row, old = desk.integration("g", "generic", require_signature=True)
    new = rotate(desk, row, overlap_minutes=10)
    live = desk.registry.by_token("generic", new.token, desk.now_ms)
    assert live is not None
    assert live.config.secret == new.secret != old.secret
    assert live.previous_config.secret == old.secret
    assert live.previous_until_ms == desk.now_ms + 10 * MINUTE


def test_a_vendors_new_secret_is_given(desk: Desk) -> None:
    row, old = desk.integration(secret="vendors-secret")
    once = rotate(desk, row, secret="vendors-next", overlap_minutes=10)
    assert (once.token, once.secret) == (None, None)
    live = desk.by_token(old.token)
    assert live is not None
    assert (live.config.secret, live.previous_config.secret) == ("vendors-next", "vendors-secret")


def test_without_an_overlap_the_old_token_ends_at_once(desk: Desk) -> None:
    row, old = desk.integration()
    rotate(desk, row, what="token", overlap_minutes=0)
    assert desk.by_token(old.token) is None
    with pytest.raises(Invalid):
        rotate(desk, row, overlap_minutes=-1)


def test_what_a_rotation_left_is_forgotten_when_it_is_over(desk: Desk) -> None:
    row, _ = desk.integration("g", "generic", require_signature=True)
    hook, made = desk.channel("hook", "webhook", url="https://example.com/")
    rotate(desk, row, overlap_minutes=10)
    once = desk.change(lambda edit: channels.rotate(edit, channel_rows.get(edit.tx, 1, hook.id), 10))
    assert desk.snapshot.channels[hook.id].config.secret == f"{once.secret} {made.secret}"
    asyncio.run(desk.configure.tidy())
    assert desk.snapshot.channels[hook.id].config.secret == f"{once.secret} {made.secret}"
    desk.now_ms += 10 * MINUTE
    asyncio.run(desk.configure.tidy())
    assert desk.snapshot.channels[hook.id].config.secret == once.secret
    assert desk.snapshot.integrations[row.id].previous_config is None
    assert desk.snapshot.previous_tokens == frozenset()


def test_the_journal_tells_who_changed_what_without_secrets(desk: Desk) -> None:
    row, once = desk.integration(secret="canary-secret")
    update_integration(desk, row, config={"secret": "canary-other", "default_severity": "low"})
    rotate(desk, row, what="token")
    desk.change(lambda edit: integrations.delete(edit, integration_rows.get(edit.tx, 1, row.id)))
    lines = desk.journal()
    assert [verb for verb, _ in lines] == [f"integration.{v}" for v in ("created", "updated", "rotated", "deleted")]
    assert lines[1][1]["changes"] == ['default_severity: "" → "low"', "secret: changed"]
    assert "canary" not in str(lines)
    assert once.token not in str(lines)
    assert SAM.name in str(desk.look(lambda reader: reader.all("select actor from journal")))


# -- workspace --------------------------------------------------------------------------------------------------------


def test_the_workspace_names_its_channels(desk: Desk) -> None:
    row, _ = desk.channel()
    desk.change(lambda edit: workspace.update(edit, workspace.Draft(default_channels=[])))
    change = workspace.Draft(default_channels=["oncall"], fallback_channel="oncall")
    assert len(desk.change(lambda edit: workspace.update(edit, change))) == 2
    live = desk.snapshot.workspaces[1]
    assert (live.name, live.default_channels, live.fallback_channel) == ("default", (row.id,), row.id)
    assert desk.change(lambda edit: workspace.update(edit, workspace.Draft(fallback_channel=None))) == [
        'fallback_channel: "oncall" → null'
    ]
    with pytest.raises(Invalid, match="did you mean oncall"):
        desk.change(lambda edit: workspace.update(edit, workspace.Draft(fallback_channel="oncal")))
    assert desk.snapshot.workspaces[1].fallback_channel is None


def test_the_oldest_channel_is_the_default_until_a_person_chooses(desk: Desk) -> None:
    first, _ = desk.channel("zulu")
    second, _ = desk.channel("alpha")
    assert desk.snapshot.workspaces[1].default_channels == (first.id,)
    desk.change(lambda edit: channels.delete(edit, channel_rows.get(edit.tx, 1, first.id)))
    assert desk.snapshot.workspaces[1].default_channels == (second.id,)
    desk.change(lambda edit: workspace.update(edit, workspace.Draft(default_channels=[])))
    desk.channel("bravo")
    assert desk.snapshot.workspaces[1].default_channels == ()


# -- the way of a change ----------------------------------------------------------------------------------------------


def test_a_refusal_leaves_its_neighbours_alone(desk: Desk) -> None:
    """It shares its transaction with webhooks: they are kept, and not committed one by one."""

    async def both() -> Any:
        draft = channels.Draft(name="x", kind="nothing")
        refused = desk.configure.change(1, SAM, lambda edit: channels.create(edit, draft))
        kept = [desk.db.write(lambda tx: tx.run("insert into fact values (hex(randomblob(8)), '')")) for _ in range(20)]
        return await asyncio.gather(refused, *kept, return_exceptions=True)

    answers = asyncio.run(both())
    assert isinstance(answers[0], Invalid)
    assert answers[1:] == [1] * 20


def test_a_rehearsal_leaves_nothing(desk: Desk) -> None:
    before, snapshot = desk.everything(), desk.registry.snapshot
    row, once = desk.change(
        lambda edit: integrations.create(edit, integrations.Draft(name="x", kind="sentry")), rehearse=True
    )
    assert row.name == "x"
    assert desk.everything() == before
    assert desk.registry.snapshot is snapshot
    assert desk.by_token(once.token) is None
