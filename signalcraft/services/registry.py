"""What is configured, ready for use: one immutable snapshot, swapped whole after every change.

A row that cannot be used (a kind that a newer version knew, a secret that does not open) stops nothing: it is left
out, and `Registry.problems` says so.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from signalcraft import logs
from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain import severity as severities
from signalcraft.domain.routing import CompiledRule, Rule, compile_rule
from signalcraft.domain.severity import Severity
from signalcraft.errors import Fault
from signalcraft.services import own
from signalcraft.services.kinds import CHANNEL_KINDS, SOURCE_KINDS, Kind, decode, kind_named
from signalcraft.storage import channels, integrations, rules, workspaces
from signalcraft.storage.db import Tx
from signalcraft.storage.vault import Vault

log = logging.getLogger(__name__)


class IntegrationLive(Struct, frozen=True, kw_only=True):
    """An integration with its secrets open. `source` is its module, `config` its module's Config.

    `scope`: what its groups belong to: the kind, or "kind:id" (the id as text) where two integrations never speak of
    one problem.
    """

    id: int
    workspace_id: int
    name: str
    kind: str
    scope: str
    source: Any
    config: Any
    previous_config: Any = None
    previous_until_ms: int | None = None
    enabled: bool = True
    default_severity: Severity | None = None
    require_signature: bool = False


class ChannelLive(Struct, frozen=True, kw_only=True):
    """A channel with its secrets open. `module` is its kind's module, `config` its module's Config."""

    id: int
    workspace_id: int
    name: str
    kind: str
    module: Any
    config: Any
    enabled: bool = True
    state: Literal["ok", "broken"] = "ok"
    broken_why: str | None = None


class WorkspaceLive(Struct, frozen=True, kw_only=True):
    """A workspace and its enabled rules in the order in which they are asked."""

    id: int
    name: str
    default_channels: tuple[int, ...] = ()
    fallback_channel: int | None = None
    rules: tuple[CompiledRule, ...] = ()


class Snapshot(Struct, frozen=True, kw_only=True):
    """All of it at one moment. `previous_tokens` are those that a rotation lets work until `previous_until_ms`."""

    integrations_by_token: Mapping[bytes, IntegrationLive] = {}
    previous_tokens: frozenset[bytes] = frozenset()
    integrations: Mapping[int, IntegrationLive] = {}
    channels: Mapping[int, ChannelLive] = {}
    workspaces: Mapping[int, WorkspaceLive] = {}
    problems: tuple[str, ...] = ()


OWN: Final = IntegrationLive(
    id=own.INTEGRATION_ID,
    workspace_id=workspaces.DEFAULT_ID,
    name=own.LABEL,
    kind=own.KIND,
    scope=own.KIND,
    source=own,
    config=own.Config(),
)
"""Through which the appliance speaks of itself: always there, in no table."""
CANARY: Final = msgspec.structs.replace(
    OWN, id=own.CANARY_INTEGRATION_ID, workspace_id=own.CANARY_WORKSPACE_ID, name="self-check", scope="self-check"
)
_CANARY_CHANNEL: Final = ChannelLive(
    id=own.CANARY_CHANNEL_ID,
    workspace_id=own.CANARY_WORKSPACE_ID,
    name="self-check",
    kind=own.CANARY_CHANNEL.KIND,
    module=own.CANARY_CHANNEL,
    config=own.Config(),
)
_CANARY_WORKSPACE: Final = WorkspaceLive(
    id=own.CANARY_WORKSPACE_ID,
    name="self-check",
    rules=(compile_rule(Rule(id=own.CANARY_RULE_ID, name="self-check", channels=[own.CANARY_CHANNEL_ID])),),
)


class _Workspaces(dict[int, WorkspaceLive]):
    """By id. The canary's is found by its number and stands in no list."""

    def __missing__(self, workspace_id: int) -> WorkspaceLive:
        if workspace_id == own.CANARY_WORKSPACE_ID:
            return _CANARY_WORKSPACE
        raise KeyError(workspace_id)


def token_hash(token: str) -> bytes:
    """What is stored of a webhook token: 192 random bits need no slow hash."""
    return hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=16).digest()


class Registry:
    """Holds the snapshot. Reading `snapshot` is safe from any thread; it is swapped on the writer thread."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self.settings = settings
        self.vault = vault
        self.snapshot = Snapshot()
        self._compiled: dict[int, tuple[rules.Stored, CompiledRule]] = {}
        self._hidden: set[str] = set()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is configured and cannot be used, one sentence each."""
        return self.snapshot.problems

    def by_token(self, kind: str, token: str, now_ms: int) -> IntegrationLive | None:
        """The integration of a webhook address; None where there is none, or its token ran out."""
        snapshot = self.snapshot
        key = token_hash(token)
        live = snapshot.integrations_by_token.get(key)
        if live is None or live.kind != kind:
            return None
        if key in snapshot.previous_tokens and now_ms >= (live.previous_until_ms or 0):
            return None
        return live

    def reload(self, reader: Tx) -> None:
        """Reads everything anew."""
        self.swap(self.build(reader))

    def swap(self, snapshot: Snapshot) -> None:
        """Puts a snapshot into use."""
        for problem in set(snapshot.problems) - set(self.snapshot.problems):
            log.warning(problem)
        self.snapshot = snapshot

    def set_channel_state(self, channel_id: int, why: str | None) -> None:
        """Shows a channel as broken (why) or mended (None) without reading everything anew."""
        snapshot = self.snapshot
        live = snapshot.channels.get(channel_id)
        if live is not None:
            marked = msgspec.structs.replace(live, state="ok" if why is None else "broken", broken_why=why)
            self.snapshot = msgspec.structs.replace(snapshot, channels={**snapshot.channels, channel_id: marked})

    def build(self, reader: Tx) -> Snapshot:
        """A snapshot of what a reader sees, uncommitted changes of its own transaction among it."""
        problems: list[str] = []
        by_token: dict[bytes, IntegrationLive] = {}
        previous_tokens = set()
        by_id: dict[int, IntegrationLive] = {OWN.id: OWN, CANARY.id: CANARY}
        for row in integrations.every(reader):
            try:
                live = self._integration(reader, row)
            except Fault as problem:
                problems.append(f'integration "{row.name}" cannot be used: {problem.detail}')
                continue
            by_id[row.id] = by_token[row.token_hash] = live
            if row.previous_token_hash is not None:
                by_token.setdefault(row.previous_token_hash, live)
                previous_tokens.add(row.previous_token_hash)
        lines: dict[int, ChannelLive] = {_CANARY_CHANNEL.id: _CANARY_CHANNEL}
        for channel in channels.every(reader):
            try:
                lines[channel.id] = self._channel(reader, channel)
            except Fault as problem:
                problems.append(f'channel "{channel.name}" cannot be used: {problem.detail}')
        return Snapshot(
            integrations_by_token=by_token,
            previous_tokens=frozenset(previous_tokens),
            integrations=by_id,
            channels=lines,
            workspaces=self._workspaces(reader, problems),
            problems=tuple(problems),
        )

    def secrets_of(self, reader: Tx, workspace_id: int, place: str, sealed: bytes | None) -> dict[str, str]:
        """The secrets of a row, open. Raises CannotOpen."""
        if sealed is None:
            return {}
        secrets = msgspec.json.decode(self.vault.open(reader, workspace_id, place, sealed), type=dict[str, str])
        fresh = set(secrets.values()) - self._hidden
        if fresh:
            logs.redact.add(*fresh)
            self._hidden |= fresh
        return secrets

    def _integration(self, reader: Tx, row: integrations.Integration) -> IntegrationLive:
        kind = kind_named(SOURCE_KINDS, row.kind)
        place = integrations.secrets_place
        secrets = self.secrets_of(reader, row.workspace_id, place(row.id), row.secrets)
        config = decode(kind, row.config, secrets, self.settings)
        previous = None
        if row.previous_secrets is not None:
            earlier = self.secrets_of(reader, row.workspace_id, place(row.id, previous=True), row.previous_secrets)
            previous = decode(kind, row.config, earlier, self.settings)
        return IntegrationLive(
            id=row.id,
            workspace_id=row.workspace_id,
            name=row.name,
            kind=row.kind,
            scope=row.kind if kind.module.SCOPE == "kind" else f"{row.kind}:{ids.show(row.id)}",
            source=kind.module,
            config=config,
            previous_config=previous,
            previous_until_ms=row.previous_until_ms,
            enabled=row.enabled,
            default_severity=severities.parse(getattr(config, "default_severity", None) or ""),
            require_signature=requires_signature(kind, config),
        )

    def _channel(self, reader: Tx, row: channels.Channel) -> ChannelLive:
        kind = kind_named(CHANNEL_KINDS, row.kind)
        secrets = self.secrets_of(reader, row.workspace_id, channels.secrets_place(row.id), row.secrets)
        return ChannelLive(
            id=row.id,
            workspace_id=row.workspace_id,
            name=row.name,
            kind=row.kind,
            module=kind.module,
            config=decode(kind, row.config, secrets, self.settings),
            enabled=row.enabled,
            state=row.state,
            broken_why=row.broken_why,
        )

    def _workspaces(self, reader: Tx, problems: list[str]) -> dict[int, WorkspaceLive]:
        asked: dict[int, list[CompiledRule]] = {}
        compiled: dict[int, tuple[rules.Stored, CompiledRule]] = {}
        for stored in rules.every(reader):
            if not stored.enabled:
                continue
            known = self._compiled.get(stored.id)
            try:
                rule = known[1] if known is not None and known[0] == stored else compile_rule(stored.rule())
            except (Fault, msgspec.DecodeError) as problem:
                problems.append(f'routing rule "{stored.name}" cannot be used: {problem}')
                continue
            compiled[stored.id] = (stored, rule)
            asked.setdefault(stored.workspace_id, []).append(rule)
        self._compiled = compiled
        return _Workspaces(
            (
                row.id,
                WorkspaceLive(
                    id=row.id,
                    name=row.name,
                    default_channels=row.default_channels,
                    fallback_channel=row.fallback_channel,
                    rules=tuple(asked.get(row.id, ())),
                ),
            )
            for row in workspaces.every(reader)
        )


def requires_signature(kind: Kind, config: Any) -> bool:
    """Whether a webhook without a signature is refused: as it says, else as soon as there is a secret."""
    said = getattr(config, "require_signature", None)
    if said is not None:
        return bool(said)
    return any(getattr(config, name) for name in kind.secrets)
