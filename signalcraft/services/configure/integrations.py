"""Integrations: made with a token of their own, changed, rotated with an overlap, deleted."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain.event import Event
from signalcraft.errors import Conflict, Invalid
from signalcraft.services.configure.edit import Edit, Once, checked_name, difference, secret_difference
from signalcraft.services.forms import base_url
from signalcraft.services.kinds import SOURCE_KINDS, Kind, Parts, kind_named, read
from signalcraft.services.registry import Registry, requires_signature, token_hash
from signalcraft.storage import events
from signalcraft.storage import integrations as store
from signalcraft.storage.db import Tx
from signalcraft.storage.integrations import Integration
from signalcraft.storage.vault import CannotOpen

OVERLAP_MINUTES: Final = 60
OVERLAP_MINUTES_MAX: Final = 30 * 24 * 60
HASHED: Final = "hash:"
"""How the hash of a token begins that stands in its place: in an export with secrets."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{8,200}")
_HASH: Final = re.compile(re.escape(HASHED) + r"[0-9a-f]{32}")


class Draft(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a person wrote of an integration; UNSET where they wrote nothing. Secrets stand in `config`."""

    name: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    token: str | UnsetType = UNSET
    config: dict[str, Any] | UnsetType = UNSET


class Seen(Struct, frozen=True):
    """An integration as it may be shown. `secrets` are the names of those that are set."""

    row: Integration
    secrets: tuple[str, ...]
    warnings: tuple[str, ...]


def create(edit: Edit, draft: Draft) -> tuple[Integration, Once]:
    """A new integration; its token, and a secret that was made for it, are told this once. Raises Invalid, Conflict."""
    if draft.name is UNSET or draft.kind is UNSET:
        missing = [f for f in ("name", "kind") if getattr(draft, f) is UNSET]
        raise Invalid("this is needed", errors=tuple((f, "this is needed") for f in missing))
    kind = kind_named(SOURCE_KINDS, draft.kind)
    name = checked_name(draft.name, store.find(edit.tx, edit.workspace_id, draft.name) is not None)
    given = dict(draft.config or {})
    made = made_secret(kind, given)
    if made is not None:
        given["secret"] = made
    parts = _read(edit, kind, given, {})
    integration_id = edit.tx.new_id(edit.now_ms)
    token, hashed, hint = _token(edit, draft.token, integration_id)
    row = Integration(
        id=integration_id,
        workspace_id=edit.workspace_id,
        name=name,
        kind=kind.name,
        config=parts.shown,
        secrets=edit.sealed(store.secrets_place(integration_id), parts.secrets),
        token_hash=hashed,
        token_hint=hint,
        enabled=draft.enabled is not False,
        created_ms=edit.now_ms,
        updated_ms=edit.now_ms,
    )
    store.insert(edit.tx, row)
    edit.note("integration.created", row.id, name, after=_shown(row))
    url = None if token is None else webhook_url(edit.settings, kind.name, token)
    return row, Once(token=token, webhook_url=url, secret=made)


def update(edit: Edit, row: Integration, draft: Draft, *, whole: bool) -> list[str]:
    """Changes an integration; what changed, a line each, none where nothing did.

    `whole`: what the draft leaves out goes back to its default; else it stays. Secrets and the token stay either way.
    """
    kind = _kind_for_change(row.kind, draft.kind)
    before, place = _shown(row), store.secrets_place(row.id)
    before_secrets = edit.opened_for(place, row.secrets, draft.config)
    if draft.name is not UNSET and draft.name != row.name:
        row.name = checked_name(draft.name, store.find(edit.tx, edit.workspace_id, draft.name) is not None)
    if draft.enabled is not UNSET or whole:
        row.enabled = draft.enabled is not False
    given = dict(draft.config or {})
    parts = _read(edit, kind, given if whole else {**row.config, **given}, before_secrets)
    row.config = parts.shown
    changes = difference(before, _shown(row)) + secret_difference(before_secrets, parts.secrets)
    if isinstance(draft.token, str) and _hash_given(draft.token) != row.token_hash:
        _, row.token_hash, row.token_hint = _token(edit, draft.token, row.id)
        changes.append("token: changed")
    if changes:
        if parts.secrets != before_secrets:
            row.secrets = edit.sealed(store.secrets_place(row.id), parts.secrets)
        row.updated_ms = edit.now_ms
        store.store(edit.tx, row)
        edit.note("integration.updated", row.id, row.name, before=before, after=_shown(row), changes=changes)
    return changes


def delete(edit: Edit, row: Integration) -> None:
    """Its address answers 404 from now on; its events and groups stay."""
    store.delete(edit.tx, row.id)
    edit.note("integration.deleted", row.id, row.name, before=_shown(row))


def rotate(
    edit: Edit,
    row: Integration,
    what: Literal["token", "secret", "both"] | None = None,
    overlap_minutes: int = OVERLAP_MINUTES,
    secret: str | None = None,
) -> Once:
    """A new token, a new secret, or both; the earlier ones work until the overlap ends.

    By default both, or the token alone where the secret is the vendor's to make (then it is given here: `secret`).
    """
    if not 0 <= overlap_minutes <= OVERLAP_MINUTES_MAX:
        raise Invalid(f"an overlap has 0 to {OVERLAP_MINUTES_MAX} minutes", path="overlap_minutes")
    kind = kind_named(SOURCE_KINDS, row.kind)
    held = edit.opened(store.secrets_place(row.id), row.secrets)
    if what is None:
        what = "secret" if secret else "both" if held.get("secret") and not kind.vendors_secret else "token"
    row.previous_token_hash, row.previous_secrets = None, None
    row.previous_until_ms = edit.now_ms + overlap_minutes * 60_000
    token = made = None
    if what in ("token", "both"):
        row.previous_token_hash = row.token_hash
        token, row.token_hash, row.token_hint = _token(edit, UNSET, row.id)
    if what in ("secret", "both"):
        if secret is None:
            made = fresh_secret(kind)
        fresh = {**held, "secret": secret or made or ""}
        parts = _read(edit, kind, row.config, fresh)
        if held:
            row.previous_secrets = edit.sealed(store.secrets_place(row.id, previous=True), held)
        row.secrets = edit.sealed(store.secrets_place(row.id), parts.secrets)
    row.updated_ms = edit.now_ms
    store.store(edit.tx, row)
    edit.note("integration.rotated", row.id, row.name, what=what, overlap_minutes=overlap_minutes)
    url = None if token is None else webhook_url(edit.settings, row.kind, token)
    return Once(token=token, webhook_url=url, secret=made)


def try_out(edit: Edit, row: Integration) -> int:
    """Stores an event of kind `test`, as a sender's own test would be: it opens no group. The event's id."""
    if not row.enabled:
        raise Conflict(f'the integration "{row.name}" is switched off')
    event_id = edit.tx.new_id(edit.now_ms)
    event = Event(kind="test", title=f"Test of {row.name}", message=f"asked for by {edit.actor.name}", action="test")
    events.insert(edit.tx, event_id, edit.workspace_id, row.id, row.kind, None, None, event, edit.now_ms)
    edit.note("integration.tested", row.id, row.name, event_id=ids.show(event_id))
    return event_id


def forget_previous(tx: Tx, now_ms: int) -> bool:
    """Drops the tokens and secrets whose overlap is over; whether there were any."""
    ended = [r for r in store.every(tx) if r.previous_until_ms is not None and r.previous_until_ms <= now_ms]
    for row in ended:
        row.previous_token_hash = row.previous_secrets = row.previous_until_ms = None
        store.store(tx, row)
    return bool(ended)


def seen(reader: Tx, registry: Registry, row: Integration) -> Seen:
    """What may be shown of an integration."""
    kind = SOURCE_KINDS.get(row.kind)
    if kind is None:
        return Seen(row, (), (f"this version knows no kind {row.kind}",))
    try:
        held = registry.secrets_of(reader, row.workspace_id, store.secrets_place(row.id), row.secrets)
    except CannotOpen as problem:
        return Seen(row, (), (problem.detail,))
    warnings = []
    live = registry.snapshot.integrations.get(row.id)
    if live is not None and kind.secrets and not live.require_signature:
        warnings.append("takes webhooks without a signature: whoever knows its address can send")
    return Seen(row, tuple(sorted(held)), tuple(warnings))


# -- tokens and secrets -----------------------------------------------------------------------------------------------


def webhook_url(settings: Settings, kind: str, token: str) -> str:
    """Where the sender posts to."""
    return f"{base_url(settings)}/webhooks/{kind}/{token}"


def fresh_secret(kind: Kind) -> str:
    """A secret of 32 random bytes, in the form that the kind's senders use. Raises Invalid where we make none."""
    if kind.made_prefix is None:
        raise Invalid(f"a secret for {kind.label} cannot be made here: give it", path="secret")
    if kind.made_prefix == "":
        return secrets.token_hex(32)
    return kind.made_prefix + base64.b64encode(secrets.token_bytes(32)).decode()


def made_secret(kind: Kind, given: Mapping[str, Any]) -> str | None:
    """A secret for a new entry that was given none, where one is wanted; else None."""
    if kind.made_prefix is None or given.get("secret") is not None:
        return None
    wanted = given.get("require_signature")
    if wanted is True or (kind.made_unasked and wanted is not False):
        return fresh_secret(kind)
    return None


def _token(edit: Edit, given: str | UnsetType, integration_id: int) -> tuple[str | None, bytes, str]:
    """A token, its hash and what is shown of it; where only its hash is given, nobody here knows the token."""
    token = secrets.token_urlsafe(24) if given is UNSET else given
    hashed = _hash_given(token)
    known = _HASH.fullmatch(token) is None
    if known and _TOKEN.fullmatch(token) is None:
        raise Invalid("a token has 8 to 200 letters, digits and . _ ~ -", path="token")
    if store.token_in_use(edit.tx, hashed, integration_id):
        raise Conflict("this token belongs to another integration", path="token")
    return (token, hashed, token[-4:]) if known else (None, hashed, "")


def _hash_given(token: str) -> bytes:
    return bytes.fromhex(token.removeprefix(HASHED)) if _HASH.fullmatch(token) else token_hash(token)


def _read(edit: Edit, kind: Kind, given: Mapping[str, Any], stored: Mapping[str, str]) -> Parts:
    parts = read(kind, given, stored, edit.settings, "config.")
    if requires_signature(kind, parts.config) and kind.secrets and not parts.secrets:
        raise Invalid(
            "signatures can be required only where there is a secret to check them with", path="config.secret"
        )
    return parts


def _kind_for_change(present: str, wanted: str | UnsetType) -> Kind:
    if wanted is not UNSET and wanted != present:
        raise Invalid("a kind cannot be changed: make a new one", path="kind")
    return kind_named(SOURCE_KINDS, present)


def _shown(row: Integration) -> dict[str, Any]:
    return {"name": row.name, "kind": row.kind, "enabled": row.enabled, **msgspec.to_builtins(row.config)}
