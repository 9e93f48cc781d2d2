"""The file of `apply` and `export`: the whole configuration as TOML, names identify.

A token or secret that is left out (or says "kept") stays as it is on an existing entry; on a new one it is made and
told once. What is not in the file is left alone, unless pruned. See docs/reference/apply-file.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal

from msgspec import UNSET, Struct

from signalcraft.domain.matcher import nearest
from signalcraft.errors import Fault, Invalid
from signalcraft.services import ruletext
from signalcraft.services.configure import channels, integrations, rules, workspace
from signalcraft.services.configure.edit import Edit, Once
from signalcraft.services.kinds import CHANNEL_KINDS, KEPT, SOURCE_KINDS, Kind
from signalcraft.services.registry import Registry
from signalcraft.services.tomltext import drafted, lines, parse
from signalcraft.storage import channels as channel_rows
from signalcraft.storage import integrations as integration_rows
from signalcraft.storage import rules as rule_rows
from signalcraft.storage.db import Tx

__all__ = ["Applied", "Made", "Step", "apply", "drafted", "export", "flat", "parse", "resolve"]

Action = Literal["create", "update", "delete", "keep"]
Doc = Mapping[str, Any]

ENTRIES_MAX: Final = 1_000
"""Entries of one section."""
SECTIONS: Final = ("workspace", "integrations", "channels", "rules")
_SECRETS: Final = frozenset({"token"}).union(
    *(kind.secrets for kinds in (SOURCE_KINDS, CHANNEL_KINDS) for kind in kinds.values())
)
_OURS: Final = frozenset(("name", "kind", "enabled", "token", "config"))


class Step(Struct, frozen=True):
    """One thing that applying does. `changes`: a line each, `channel: "C01" → "C02"`; never a secret."""

    action: Action
    what: Literal["workspace", "integration", "channel", "rule"]
    name: str
    changes: list[str] = []


class Made(Struct, frozen=True, kw_only=True):
    """What was made for a new entry and is told this once."""

    what: Literal["integration", "channel"]
    name: str
    token: str | None = None
    webhook_url: str | None = None
    secret: str | None = None


class Applied(Struct, frozen=True):
    """What was done, or (rehearsed) would be."""

    steps: list[Step]
    made: list[Made]


def resolve(doc: Doc, read_file: Callable[[str], str], read_env: Callable[[str], str]) -> dict[str, Any]:
    """The document with `secret_file`, `secret_env`, `token_file` and the like replaced by what they name.

    For whoever reads the file on its own machine. Both functions raise a Fault where there is nothing. Raises Invalid.
    """
    readers = {"_file": read_file, "_env": read_env}
    resolved: dict[str, Any] = dict(doc)
    for section in ("integrations", "channels"):
        tables = doc.get(section)
        if not isinstance(tables, list):
            continue
        resolved[section] = [
            _resolved(table, f"{section}[{i}]", readers) if isinstance(table, dict) else table
            for i, table in enumerate(tables)
        ]
    return resolved


def _resolved(table: Mapping[str, Any], path: str, readers: Mapping[str, Callable[[str], str]]) -> dict[str, Any]:
    done: dict[str, Any] = {}
    for key, value in table.items():
        base, reader = _indirect(key, readers)
        if reader is None:
            done[key] = value
            continue
        if base in table or base in done:
            raise Invalid(f"{base} is given twice", path=f"{path}.{key}")
        if not isinstance(value, str):
            raise Invalid("this must be a text", path=f"{path}.{key}")
        try:
            done[base] = reader(value).rstrip("\r\n")
        except Fault as problem:
            raise Invalid(problem.detail, path=f"{path}.{key}") from None
    return done


def _indirect(key: str, readers: Mapping[str, Callable[[str], str]]) -> tuple[str, Callable[[str], str] | None]:
    for suffix, reader in readers.items():
        base = key.removesuffix(suffix)
        if base != key and base in _SECRETS:
            return base, reader
    return key, None


# -- applying ---------------------------------------------------------------------------------------------------------


def apply(edit: Edit, doc: Doc, *, prune: bool = False) -> Applied:
    """Makes the configuration what the document says. Raises Invalid, Conflict with the place in the file.

    A plan is the same, rehearsed (`Configure.change(…, rehearse=True)`).
    """
    _check_sections(doc)
    tables = {section: _tables(doc, section) for section in ("integrations", "channels", "rules")}
    applied = Applied([], [])
    names = {section: {name for _, name, _ in found} for section, found in tables.items()}
    if prune:  # rules first: they hold on to channels, and make room for others
        _prune_rules(edit, names["rules"], applied)
    for path, name, table in tables["channels"]:
        with _at(path):
            _channel(edit, name, table, applied)
    for path, name, table in tables["integrations"]:
        with _at(path):
            _integration(edit, name, table, applied)
    for i, (path, name, table) in enumerate(tables["rules"]):
        with _at(path):
            _rule(edit, i, name, table, applied)
    if "workspace" in doc:
        with _at("workspace"):
            _workspace(edit, doc["workspace"], applied)
    if prune:
        _prune_rest(edit, names["integrations"], names["channels"], applied)
    changed = [f"{step.action} {step.what} {step.name}" for step in applied.steps if step.action != "keep"]
    if changed:
        edit.note("config.applied", edit.workspace_id, "", changed=changed)
    return applied


def _prune_rules(edit: Edit, kept: set[str], applied: Applied) -> None:
    for rule in rule_rows.every(edit.tx, edit.workspace_id):
        if rule.name not in kept:
            rules.delete(edit, rule.id)
            applied.steps.append(Step("delete", "rule", rule.name))


def _prune_rest(edit: Edit, kept_integrations: set[str], kept_channels: set[str], applied: Applied) -> None:
    for row in integration_rows.every(edit.tx, edit.workspace_id):
        if row.name not in kept_integrations:
            integrations.delete(edit, row)
            applied.steps.append(Step("delete", "integration", row.name))
    for channel in channel_rows.every(edit.tx, edit.workspace_id):
        if channel.name not in kept_channels:
            channels.delete(edit, channel)
            applied.steps.append(Step("delete", "channel", channel.name))


def _check_sections(doc: Doc) -> None:
    unknown = [name for name in doc if name not in SECTIONS]
    if unknown:
        errors = tuple((name[:60], f"there is no such section{nearest(name, SECTIONS)}") for name in unknown)
        raise Invalid(f"{errors[0][0]}: {errors[0][1]}", errors=errors)


def _tables(doc: Doc, section: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(path, name, table) of each entry of a section. Raises Invalid for one without a name, or with another's."""
    tables = doc.get(section, [])
    if not isinstance(tables, list):
        raise Invalid(f"this is a list of tables: [[{section}]]", path=section)
    if len(tables) > ENTRIES_MAX:
        raise Invalid(f"there are at most {ENTRIES_MAX} entries", path=section)
    found: list[tuple[str, str, dict[str, Any]]] = []
    seen = set()
    for i, table in enumerate(tables):
        path = f"{section}[{i}]"
        name = table.get("name") if isinstance(table, dict) else None
        if not isinstance(name, str):
            raise Invalid("every entry has a name", path=f"{path}.name")
        if name in seen:
            raise Invalid(f'the name "{name[:100]}" stands here twice', path=f"{path}.name")
        seen.add(name)
        found.append((path, name, table))
    return found


@contextmanager
def _at(path: str) -> Iterator[None]:
    """The faults of what is done inside name their place in the file."""
    try:
        yield
    except Fault as fault:
        errors = tuple((f"{path}.{p.removeprefix('config.')}" if p else path, s) for p, s in fault.errors)
        fault.errors = errors or ((path, fault.detail),)
        fault.path = fault.errors[0][0]
        raise


def flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as a draft spells it: what is not ours is the kind's, whether it stands in `config` or beside it.

    Raises Invalid for what only the command line can read.
    """
    readers = {"_file": str, "_env": str}
    for key in table:
        if _indirect(key, readers)[1] is not None:
            raise Invalid("this is read where `signalcraft apply` runs: it cannot be sent", path=key)
    inner = table.get("config", {})
    if not isinstance(inner, dict):
        raise Invalid("this must be a table", path="config")
    draft = {key: table[key] for key in ("name", "kind", "enabled") if key in table}
    if table.get("token", KEPT) != KEPT:
        draft["token"] = table["token"]
    draft["config"] = {**inner, **{key: value for key, value in table.items() if key not in _OURS}}
    return draft


def _channel(edit: Edit, name: str, table: Mapping[str, Any], applied: Applied) -> None:
    draft = drafted(flat(table), channels.Draft)
    row = channel_rows.find(edit.tx, edit.workspace_id, name)
    if row is None:
        _, once = channels.create(edit, draft)
        applied.steps.append(Step("create", "channel", name))
        _told(applied, "channel", name, once)
        return
    changes = channels.update(edit, row, draft, whole=True)
    applied.steps.append(Step("update" if changes else "keep", "channel", name, changes))


def _integration(edit: Edit, name: str, table: Mapping[str, Any], applied: Applied) -> None:
    draft = drafted(flat(table), integrations.Draft)
    row = integration_rows.find(edit.tx, edit.workspace_id, name)
    if row is None:
        given = isinstance(draft.token, str)
        _, once = integrations.create(edit, draft)
        applied.steps.append(Step("create", "integration", name))
        # A token that came from the file is no news, and need not stand on a screen.
        _told(applied, "integration", name, Once(secret=once.secret) if given else once)
        return
    changes = integrations.update(edit, row, draft, whole=True)
    applied.steps.append(Step("update" if changes else "keep", "integration", name, changes))


def _told(applied: Applied, what: Literal["integration", "channel"], name: str, once: Once) -> None:
    if once != Once():
        applied.made.append(
            Made(what=what, name=name, token=once.token, webhook_url=once.webhook_url, secret=once.secret)
        )


def _rule(edit: Edit, place: int, name: str, table: Mapping[str, Any], applied: Applied) -> None:
    draft = ruletext.read(table)
    if draft.priority is UNSET:
        draft.priority = (place + 1) * rules.STEP
    row = rule_rows.find(edit.tx, edit.workspace_id, name)
    if row is None:
        rules.create(edit, draft)
        applied.steps.append(Step("create", "rule", name))
        return
    changes = rules.update(edit, row.id, draft, whole=True)
    applied.steps.append(Step("update" if changes else "keep", "rule", name, changes))


def _workspace(edit: Edit, table: object, applied: Applied) -> None:
    if not isinstance(table, dict):
        raise Invalid("this is a table: [workspace]")
    known = workspace.Draft.__struct_fields__
    unknown = tuple((key, f'no such setting: "{key[:60]}"{nearest(key, known)}') for key in table if key not in known)
    if unknown:
        raise Invalid(unknown[0][1], errors=unknown)
    changes = workspace.update(edit, drafted(table, workspace.Draft))
    name = workspace.seen(edit.tx, edit.workspace_id).name
    applied.steps.append(Step("update" if changes else "keep", "workspace", name, changes))


# -- exporting --------------------------------------------------------------------------------------------------------


def export(reader: Tx, registry: Registry, workspace_id: int, *, secrets: bool = False) -> str:
    """The configuration of a workspace as the file that makes it again; secrets are "kept", or (`secrets`) themselves.

    With its secrets a webhook address is told by its token's hash: the sender's own address works again where it is
    applied. Raises CannotOpen for a secret that cannot be told.
    """
    held = workspace.seen(reader, workspace_id)
    settings: dict[str, Any] = {"default_channels": held.default_channels}
    if held.fallback_channel is not None:
        settings["fallback_channel"] = held.fallback_channel
    parts = ["[workspace]", *lines(settings), ""]
    for row in integration_rows.every(reader, workspace_id):
        seen = integrations.seen(reader, registry, row)
        entry = _entry(row, SOURCE_KINDS.get(row.kind), seen.secrets)
        if secrets:
            entry |= {"token": f"{integrations.HASHED}{row.token_hash.hex()}"}
            entry |= registry.secrets_of(reader, workspace_id, integration_rows.secrets_place(row.id), row.secrets)
        parts += ["[[integrations]]", *lines(entry), ""]
    for channel in channel_rows.every(reader, workspace_id):
        shown = channels.seen(reader, registry, channel)
        entry = _entry(channel, CHANNEL_KINDS.get(channel.kind), shown.secrets)
        if secrets:
            entry |= registry.secrets_of(reader, workspace_id, channel_rows.secrets_place(channel.id), channel.secrets)
        parts += ["[[channels]]", *lines(entry), ""]
    show = rules.shower(reader, workspace_id)
    for stored in rule_rows.every(reader, workspace_id):
        parts += ["[[rules]]", *lines(ruletext.entry(show(stored.rule()))), ""]
    return "\n".join(parts)


def _entry(
    row: integration_rows.Integration | channel_rows.Channel, kind: Kind | None, secrets: tuple[str, ...]
) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": row.name, "kind": row.kind}
    if not row.enabled:
        entry["enabled"] = False
    entry |= dict.fromkeys(secrets, KEPT)
    if kind is not None and kind.made_prefix is not None and "secret" not in secrets:
        entry["secret"] = ""  # else a new entry would be given one
    defaults = {} if kind is None else kind.defaults
    entry |= {k: v for k, v in row.config.items() if v is not None and (k not in defaults or defaults[k] != v)}
    return entry
