"""/api/workspace, /api/kinds, /api/config: the workspace itself, what each kind needs, everything as one file."""

from __future__ import annotations

from typing import Any, Final

from litestar import get, patch, post
from litestar.params import JSONBody
from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import ids, matcher, severity
from signalcraft.domain.setup import SetupStep
from signalcraft.errors import Invalid
from signalcraft.http.auth import TheCaller, scopes, step_up
from signalcraft.http.wire import TheHouse
from signalcraft.services import applyfile
from signalcraft.services.configure import workspace
from signalcraft.services.forms import FormField, fields, setup
from signalcraft.services.kinds import CHANNEL_KINDS, SOURCE_KINDS, Kind, schema

TAG: Final = ["configuration"]


class WorkspaceIn(workspace.Draft, kw_only=True, forbid_unknown_fields=True):
    """Channels by name or id. `default_channels` hear what no rule routes; `fallback_channel`: null for none."""


class WorkspaceOut(Struct, frozen=True):
    """The workspace; channels by name."""

    id: str
    name: str
    default_channels: list[str]
    fallback_channel: str | None


class KindOut(Struct, frozen=True):
    """A kind of integration or channel. `config_schema`: JSON schema of its `config`; secrets are `writeOnly`.

    `fields`: the same as a form asks for it; `setup`: what a person does at the vendor, with this box's addresses.
    """

    kind: str
    label: str
    config_schema: dict[str, Any]
    fields: list[FormField]
    setup: list[SetupStep]


class ConditionsOut(Struct, frozen=True):
    """The words of conditions. `tags.<key>` stands for any tag."""

    fields: list[str]
    operators: list[str]
    severities: list[str]
    statuses: list[str]


class KindsOut(Struct, frozen=True):
    """What can be configured."""

    integrations: list[KindOut]
    channels: list[KindOut]
    conditions: ConditionsOut


class ApplyIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The file of `signalcraft apply` as its text, or already read as an object. `dry_run`: only say what would happen.

    `prune`: delete what is not in it.
    """

    toml: str | None = None
    configuration: dict[str, Any] | None = None
    dry_run: bool = False
    prune: bool = False


class ApplyOut(Struct, frozen=True):
    """What was done or would be, and what was made and is told this once."""

    applied: bool
    steps: list[applyfile.Step]
    made: list[applyfile.Made]


class ExportOut(Struct, frozen=True):
    """The file."""

    toml: str


@get(
    "/api/workspace",
    guards=[scopes("config:read")],
    summary="The workspace",
    operation_id="get_workspace",
    tags=TAG,
)
async def get_workspace(house: TheHouse, caller: TheCaller) -> WorkspaceOut:
    """The workspace of the API key."""
    return await house.db.read(lambda tx: _out(caller.workspace_id, workspace.seen(tx, caller.workspace_id)))


@patch(
    "/api/workspace",
    guards=[scopes("config:write")],
    summary="Change the workspace",
    operation_id="change_workspace",
    tags=TAG,
)
async def change_workspace(house: TheHouse, caller: TheCaller, data: JSONBody[WorkspaceIn]) -> WorkspaceOut:
    """What is left out stays as it is."""
    await house.configure.change(caller.workspace_id, caller.actor, lambda edit: workspace.update(edit, data))
    return await house.db.read(lambda tx: _out(caller.workspace_id, workspace.seen(tx, caller.workspace_id)))


def _out(workspace_id: int, seen: workspace.Seen) -> WorkspaceOut:
    return WorkspaceOut(ids.show(workspace_id), seen.name, seen.default_channels, seen.fallback_channel)


@get("/api/kinds", guards=[scopes("config:read")], summary="What can be configured", operation_id="kinds", tags=TAG)
async def kinds(house: TheHouse, caller: TheCaller) -> KindsOut:
    """Each kind of integration and channel with the schema of what it needs, and the words of conditions."""
    return KindsOut(
        integrations=[_kind(kind, house.settings) for kind in SOURCE_KINDS.values()],
        channels=[_kind(kind, house.settings) for kind in CHANNEL_KINDS.values()],
        conditions=ConditionsOut(
            fields=[*matcher.FIELDS, "tags.<key>"],
            operators=list(matcher.OPERATORS),
            severities=list(severity.BY_NAME),
            statuses=list(matcher.STATUSES),
        ),
    )


def _kind(kind: Kind, settings: Settings) -> KindOut:
    return KindOut(kind.name, kind.label, schema(kind), fields(kind), setup(kind, settings))


@post(
    "/api/config/apply",
    guards=[scopes("config:write")],
    summary="Apply a configuration",
    operation_id="apply_configuration",
    tags=TAG,
    status_code=200,
)
async def apply_configuration(house: TheHouse, caller: TheCaller, data: JSONBody[ApplyIn]) -> ApplyOut:
    """All of it or nothing: integrations, channels and rules of those names become what the file says."""
    if (data.toml is None) == (data.configuration is None):
        raise Invalid("either toml or configuration is needed", path="toml")
    doc = applyfile.parse(data.toml) if data.toml is not None else data.configuration or {}
    done = await house.configure.change(
        caller.workspace_id,
        caller.actor,
        lambda edit: applyfile.apply(edit, doc, prune=data.prune),
        rehearse=data.dry_run,
    )
    # What a rehearsal made is gone again.
    return ApplyOut(not data.dry_run, done.steps, [] if data.dry_run else done.made)


@get(
    "/api/config/export",
    guards=[scopes("config:read"), step_up],
    summary="Export the configuration",
    operation_id="export_configuration",
    tags=TAG,
)
async def export_configuration(house: TheHouse, caller: TheCaller) -> ExportOut:
    """The file that makes this configuration again; secrets are "kept". Applied here, it changes nothing."""
    ws = caller.workspace_id
    return ExportOut(await house.db.read(lambda tx: applyfile.export(tx, house.registry, ws)))


ROUTES: Final = [get_workspace, change_workspace, kinds, apply_configuration, export_configuration]
