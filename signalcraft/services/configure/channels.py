"""Channels: made, changed, tried out, marked broken by deliveries, mended, deleted when nobody needs them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from signalcraft.domain import ids
from signalcraft.domain.group import SYSTEM
from signalcraft.errors import Conflict, Invalid
from signalcraft.services.configure.edit import Edit, Once, checked_name, difference, secret_difference
from signalcraft.services.configure.integrations import OVERLAP_MINUTES, OVERLAP_MINUTES_MAX, fresh_secret, made_secret
from signalcraft.services.kinds import CHANNEL_KINDS, kind_named, read
from signalcraft.services.registry import Registry
from signalcraft.storage import channels as store
from signalcraft.storage import journal, outbox, rules, workspaces
from signalcraft.storage.channels import Channel
from signalcraft.storage.db import Tx
from signalcraft.storage.vault import CannotOpen


class Draft(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a person wrote of a channel; UNSET where they wrote nothing. Secrets stand in `config`."""

    name: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    config: dict[str, Any] | UnsetType = UNSET


class Seen(Struct, frozen=True):
    """A channel as it may be shown. `secrets` are the names of those that are set."""

    row: Channel
    secrets: tuple[str, ...]
    warnings: tuple[str, ...]


def create(edit: Edit, draft: Draft) -> tuple[Channel, Once]:
    """A new channel; a secret that was made for it is told this once. Raises Invalid, Conflict."""
    if draft.name is UNSET or draft.kind is UNSET:
        missing = [f for f in ("name", "kind") if getattr(draft, f) is UNSET]
        raise Invalid("this is needed", errors=tuple((f, "this is needed") for f in missing))
    kind = kind_named(CHANNEL_KINDS, draft.kind)
    name = checked_name(draft.name, store.find(edit.tx, edit.workspace_id, draft.name) is not None)
    given = dict(draft.config or {})
    made = made_secret(kind, given)
    if made is not None:
        given["secret"] = made
    parts = read(kind, given, {}, edit.settings, "config.")
    channel_id = edit.tx.new_id(edit.now_ms)
    row = Channel(
        id=channel_id,
        workspace_id=edit.workspace_id,
        name=name,
        kind=kind.name,
        config=parts.shown,
        secrets=edit.sealed(store.secrets_place(channel_id), parts.secrets),
        enabled=draft.enabled is not False,
        created_ms=edit.now_ms,
        updated_ms=edit.now_ms,
    )
    store.insert(edit.tx, row)
    edit.note("channel.created", row.id, name, after=_shown(row))
    _choose_default(edit)
    return row, Once(secret=made)


def _choose_default(edit: Edit) -> None:
    # A default route exists always: until a person chooses otherwise, the oldest channel hears what no rule routes.
    workspace = workspaces.get(edit.tx, edit.workspace_id)
    if workspace.chosen:
        return
    oldest = tuple(sorted(channel.id for channel in store.every(edit.tx, edit.workspace_id) if channel.enabled)[:1])
    if oldest != workspace.default_channels:
        workspaces.set_channels(edit.tx, edit.workspace_id, oldest, workspace.fallback_channel, chosen=False)


def update(edit: Edit, row: Channel, draft: Draft, *, whole: bool) -> list[str]:
    """Changes a channel; what changed, a line each, none where nothing did. A change of its config mends it.

    `whole`: what the draft leaves out goes back to its default; else it stays. Secrets stay either way.
    """
    if draft.kind is not UNSET and draft.kind != row.kind:
        raise Invalid("a kind cannot be changed: make a new one", path="kind")
    kind = kind_named(CHANNEL_KINDS, row.kind)
    before, place = _shown(row), store.secrets_place(row.id)
    before_secrets = edit.opened_for(place, row.secrets, draft.config)
    if draft.name is not UNSET and draft.name != row.name:
        row.name = checked_name(draft.name, store.find(edit.tx, edit.workspace_id, draft.name) is not None)
    if draft.enabled is not UNSET or whole:
        row.enabled = draft.enabled is not False
    given = dict(draft.config or {})
    parts = read(kind, given if whole else {**row.config, **given}, before_secrets, edit.settings, "config.")
    mended = parts.shown != row.config or parts.secrets != before_secrets
    row.config = parts.shown
    changes = difference(before, _shown(row)) + secret_difference(before_secrets, parts.secrets)
    if changes:
        if parts.secrets != before_secrets:
            row.secrets = edit.sealed(store.secrets_place(row.id), parts.secrets)
            row.previous_until_ms = None
        if mended:
            row.state, row.broken_why, row.broken_ms = "ok", None, None
        row.updated_ms = edit.now_ms
        store.store(edit.tx, row)
        edit.note("channel.updated", row.id, row.name, before=before, after=_shown(row), changes=changes)
        _choose_default(edit)
    return changes


def delete(edit: Edit, row: Channel) -> None:
    """What is owed to it is dropped. Raises Conflict naming whatever still tells it."""
    users = []
    for stored in rules.every(edit.tx, edit.workspace_id):
        rule = stored.rule()
        if row.id in rule.channels or row.id in rule.escalate_to:
            users.append(f'the routing rule "{rule.name}"')
    workspace = workspaces.get(edit.tx, edit.workspace_id)
    if row.id in workspace.default_channels and workspace.chosen:
        users.append("the workspace's default channels")
    if row.id == workspace.fallback_channel:
        users.append("the workspace's fallback channel")
    if users:
        raise Conflict(f'the channel "{row.name}" is in use by {", ".join(users)}')
    dropped = store.delete(edit.tx, row.id)
    _choose_default(edit)
    edit.note("channel.deleted", row.id, row.name, before=_shown(row), dropped=dropped)


def rotate(edit: Edit, row: Channel, overlap_minutes: int = OVERLAP_MINUTES, secret: str | None = None) -> Once:
    """A new signing secret; messages are signed with the earlier one too until the overlap ends.

    Only where the secret is ours to make: other channels' tokens come from their vendor and are changed by an update.
    """
    if not 0 <= overlap_minutes <= OVERLAP_MINUTES_MAX:
        raise Invalid(f"an overlap has 0 to {OVERLAP_MINUTES_MAX} minutes", path="overlap_minutes")
    kind = kind_named(CHANNEL_KINDS, row.kind)
    if kind.made_prefix is None:
        raise Conflict(f"the tokens of a {kind.label} channel come from its vendor: change them where they stand")
    made = fresh_secret(kind) if secret is None else None
    held = edit.opened(store.secrets_place(row.id), row.secrets)
    earlier = held.get("secret", "").split()[:1] if overlap_minutes else []
    fresh = {**held, "secret": " ".join([secret or made or "", *earlier])}
    parts = read(kind, row.config, fresh, edit.settings, "config.")
    row.secrets = edit.sealed(store.secrets_place(row.id), parts.secrets)
    row.previous_until_ms = edit.now_ms + overlap_minutes * 60_000 if earlier else None
    row.updated_ms = edit.now_ms
    store.store(edit.tx, row)
    edit.note("channel.rotated", row.id, row.name, overlap_minutes=overlap_minutes)
    return Once(secret=made)


def try_out(edit: Edit, row: Channel) -> int:
    """A test message is owed to the channel; the delivery's id. It is tried also where the channel is marked broken."""
    if not row.enabled:
        raise Conflict(f'the channel "{row.name}" is switched off')
    delivery_id = outbox.owe(
        edit.tx,
        now_ms=edit.now_ms,
        workspace_id=edit.workspace_id,
        group_id=None,
        channel_id=row.id,
        kind="test",
        reason=f"asked for by {edit.actor.name}",
    )
    if delivery_id is None:
        raise Conflict(f'a test of the channel "{row.name}" is owed already')
    edit.note("channel.tested", row.id, row.name, delivery_id=ids.show(delivery_id))
    return delivery_id


def forget_previous(tx: Tx, registry: Registry, now_ms: int) -> bool:
    """Drops the earlier signing secrets whose overlap is over; whether there were any."""
    ended = [c for c in store.every(tx) if c.previous_until_ms is not None and c.previous_until_ms <= now_ms]
    for row in ended:
        edit = Edit(tx, registry, row.workspace_id, SYSTEM, now_ms)
        held = edit.opened(store.secrets_place(row.id), row.secrets)
        held["secret"] = held.get("secret", "").partition(" ")[0]
        row.secrets = edit.sealed(store.secrets_place(row.id), held)
        row.previous_until_ms = None
        store.store(tx, row)
    return bool(ended)


def seen(reader: Tx, registry: Registry, row: Channel) -> Seen:
    """What may be shown of a channel."""
    if row.kind not in CHANNEL_KINDS:
        return Seen(row, (), (f"this version knows no kind {row.kind}",))
    try:
        held = registry.secrets_of(reader, row.workspace_id, store.secrets_place(row.id), row.secrets)
    except CannotOpen as problem:
        return Seen(row, (), (problem.detail,))
    return Seen(row, tuple(sorted(held)), ())


# -- what deliveries learn --------------------------------------------------------------------------------------------


def mark_broken(tx: Tx, registry: Registry, channel_id: int, why: str, now_ms: int) -> bool:
    """The channel takes nothing until a person mends it: journal, health and everybody's next look say so.

    Whether that is news. Called inside the transaction that settles the delivery.
    """
    return _mark(tx, registry, channel_id, why, now_ms)


def mark_ok(tx: Tx, registry: Registry, channel_id: int, now_ms: int) -> bool:
    """The channel takes messages again. Whether that is news."""
    return _mark(tx, registry, channel_id, None, now_ms)


def _mark(tx: Tx, registry: Registry, channel_id: int, why: str | None, now_ms: int) -> bool:
    changed = store.set_state(tx, channel_id, why, now_ms)
    if changed is None:
        return False
    workspace_id, name = changed
    data = {"id": ids.show(channel_id), "name": name} | ({"why": why} if why is not None else {})
    verb = "channel.mended" if why is None else "channel.broken"
    journal.add(tx, now_ms, workspace_id, None, verb, SYSTEM, data)
    tx.then(lambda: registry.set_channel_state(channel_id, why))
    return True


def _shown(row: Channel) -> dict[str, Any]:
    return {"name": row.name, "kind": row.kind, "enabled": row.enabled, **msgspec.to_builtins(row.config)}
