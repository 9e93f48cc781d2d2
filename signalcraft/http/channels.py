"""/api/channels: where people are told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from litestar import Request, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Struct, UnsetType

from signalcraft.channels.slack.manifest import ACTIONS_PATH, Mode, create_link, manifest, suits
from signalcraft.domain import ids
from signalcraft.domain.setup import SetupStep
from signalcraft.errors import Fault, Invalid
from signalcraft.http.auth import Caller, TheCaller, scopes, step_up
from signalcraft.http.integrations import as_written, draft_of
from signalcraft.http.pages import page_of
from signalcraft.http.states import ChannelHealth, channels_health
from signalcraft.http.wire import Cursor, Limit, TheHouse, show_time, time_of
from signalcraft.services import forms
from signalcraft.services.configure import Edit, channels
from signalcraft.services.configure.edit import Once
from signalcraft.services.configure.integrations import OVERLAP_MINUTES
from signalcraft.services.house import House
from signalcraft.services.kinds import CHANNEL_KINDS
from signalcraft.services.registry import Registry
from signalcraft.storage import channels as rows
from signalcraft.storage import outbox
from signalcraft.storage.db import Tx

TAG: Final = ["channels"]
_TOLD: Final = ("id", "state", "broken_why", "broken_at", "last_sent_at", "previous_until", "secrets", "warnings")
_NOT_WRITTEN: Final = frozenset((*_TOLD, "health", "created_at", "updated_at"))
"""What we tell of a channel and a client may send back: it changes nothing."""
_LOOK_S: Final = 0.1
T = TypeVar("T")


class ChannelIn(Struct, frozen=True, kw_only=True):
    """A channel. What its kind needs stands in `config`, or beside it as in the file of `apply`; see /api/kinds."""

    name: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    config: dict[str, Any] | UnsetType = UNSET


class ChannelOut(Struct, frozen=True, kw_only=True):
    """A channel. `config` holds what is no secret, `secrets` the names of the secrets that are set.

    `broken`: it takes nothing until a person mends what `broken_why` says; what is owed to it stays owed.
    `previous_until`: until then an earlier secret signs too.
    """

    id: str
    name: str
    kind: str
    enabled: bool
    state: Literal["ok", "broken"]
    broken_why: str | None
    broken_at: str | None
    last_sent_at: str | None
    previous_until: str | None
    config: dict[str, Any]
    secrets: list[str]
    warnings: list[str]
    health: ChannelHealth
    created_at: str
    updated_at: str


class ChannelMade(ChannelOut, frozen=True, kw_only=True):
    """The same, with a secret that was made here: told this once. `setup`: what to do at the vendor."""

    secret: str | None
    setup: list[SetupStep]


class ChannelPage(Struct, frozen=True):
    """By name."""

    items: list[ChannelOut]
    next: str | None


class ChannelRotateIn(Struct, frozen=True, forbid_unknown_fields=True):
    """For how many minutes messages are signed with the earlier secret too. `secret`: left out, one is made."""

    overlap_minutes: int = OVERLAP_MINUTES
    secret: str | None = None


class TestedChannel(Struct, frozen=True):
    """The delivery that is owed, and what became of it by now: see /api/deliveries/{id} for the rest.

    state: owed, sending, sent, failed, dropped. `said`: what the vendor answered; null as long as it did not.
    """

    delivery_id: str
    state: str
    said: str | None


class ManifestOut(Struct, frozen=True, kw_only=True):
    """A Slack app's manifest, YAML. `suits`: the mode for this box, and why; `create_url`: Slack's page for it."""

    mode: Mode
    suits: Mode
    why: str
    manifest: str
    create_url: str
    actions_url: str


def out(tx: Tx, registry: Registry, row: rows.Channel, health: ChannelHealth) -> ChannelOut:
    """A channel as it leaves."""
    seen = channels.seen(tx, registry, row)
    return ChannelOut(
        id=ids.show(row.id),
        name=row.name,
        kind=row.kind,
        enabled=row.enabled,
        state=row.state,
        broken_why=row.broken_why,
        broken_at=show_time(row.broken_ms),
        last_sent_at=show_time(row.last_sent_ms),
        previous_until=show_time(row.previous_until_ms),
        config=row.config,
        secrets=list(seen.secrets),
        warnings=list(seen.warnings),
        health=health,
        created_at=time_of(row.created_ms),
        updated_at=time_of(row.updated_ms),
    )


def _made(house: House, shown: ChannelOut, once: Once) -> ChannelMade:
    fields = {name: getattr(shown, name) for name in shown.__struct_fields__}
    steps = forms.setup(CHANNEL_KINDS[shown.kind], house.settings, {"secret": once.secret, "name": shown.name})
    return ChannelMade(**fields, secret=once.secret, setup=steps)


async def _shown(house: House, caller: Caller, channel_id: int) -> ChannelOut:
    def read(tx: Any) -> ChannelOut:
        row = rows.get(tx, caller.workspace_id, channel_id)
        health = channels_health(tx, caller.workspace_id, house.now(), [row.id])
        return out(tx, house.registry, row, health[row.id])

    return await house.db.read(read)


async def _change(request: Request[Any, Any, Any], house: House, caller: Caller, work: Callable[[Edit], T]) -> T:
    try:
        return await house.configure.change(caller.workspace_id, caller.actor, work)
    except Fault as fault:
        raise as_written(fault, msgspec.json.decode(await request.body())) from None


@get("/api/channels", guards=[scopes("config:read")], summary="Channels", operation_id="list_channels", tags=TAG)
async def list_channels(house: TheHouse, caller: TheCaller, limit: Limit = 50, cursor: Cursor = None) -> ChannelPage:
    """Every channel of the workspace, by name."""

    def read(tx: Any) -> ChannelPage:
        page, more = page_of(rows.every(tx, caller.workspace_id), limit, cursor)
        health = channels_health(tx, caller.workspace_id, house.now(), [row.id for row in page])
        return ChannelPage([out(tx, house.registry, row, health[row.id]) for row in page], more)

    return await house.db.read(read)


@post(
    "/api/channels",
    guards=[scopes("config:write")],
    summary="Make a channel",
    operation_id="create_channel",
    tags=TAG,
)
async def create_channel(
    request: Request[Any, Any, Any], house: TheHouse, caller: TheCaller, data: JSONBody[ChannelIn]
) -> ChannelMade:
    """A secret that is made for it is told this once."""
    draft = await draft_of(request, channels.Draft, _NOT_WRITTEN)

    def work(edit: Edit) -> tuple[int, Once]:
        row, once = channels.create(edit, draft)
        return row.id, once

    channel_id, once = await _change(request, house, caller, work)
    return _made(house, await _shown(house, caller, channel_id), once)


@get(
    "/api/channels/{id:str}",
    guards=[scopes("config:read")],
    summary="One channel",
    operation_id="get_channel",
    tags=TAG,
)
async def get_channel(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> ChannelOut:
    """The channel."""
    return await _shown(house, caller, ids.parse(id))


@put(
    "/api/channels/{id:str}",
    guards=[scopes("config:write")],
    summary="Replace a channel",
    operation_id="replace_channel",
    tags=TAG,
)
async def replace_channel(
    request: Request[Any, Any, Any], house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[ChannelIn]
) -> ChannelOut:
    """What is left out goes back to its default; a secret that is left out stays. A change mends a broken channel."""
    if data.name is UNSET:
        raise Invalid("name: is needed", path="name")
    return await _updated(request, house, caller, id, whole=True)


@patch(
    "/api/channels/{id:str}",
    guards=[scopes("config:write")],
    summary="Change a channel",
    operation_id="change_channel",
    tags=TAG,
)
async def change_channel(
    request: Request[Any, Any, Any], house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[ChannelIn]
) -> ChannelOut:
    """What is left out stays as it is; an empty secret is taken away. A change mends a broken channel."""
    return await _updated(request, house, caller, id, whole=False)


async def _updated(
    request: Request[Any, Any, Any], house: House, caller: Caller, id: str, *, whole: bool
) -> ChannelOut:
    channel_id = ids.parse(id)
    draft = await draft_of(request, channels.Draft, _NOT_WRITTEN)

    def work(edit: Edit) -> None:
        channels.update(edit, rows.get(edit.tx, edit.workspace_id, channel_id), draft, whole=whole)

    await _change(request, house, caller, work)
    return await _shown(house, caller, channel_id)


@delete(
    "/api/channels/{id:str}",
    guards=[scopes("config:write")],
    summary="Delete a channel",
    operation_id="delete_channel",
    tags=TAG,
    status_code=204,
)
async def delete_channel(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """What is owed to it is dropped. 409 while a rule or the workspace tells it."""
    channel_id = ids.parse(id)

    def work(edit: Edit) -> None:
        channels.delete(edit, rows.get(edit.tx, edit.workspace_id, channel_id))

    await house.configure.change(caller.workspace_id, caller.actor, work)


@post(
    "/api/channels/{id:str}/rotate",
    guards=[scopes("config:write"), step_up],
    summary="Rotate a channel's signing secret",
    operation_id="rotate_channel",
    tags=TAG,
    status_code=200,
)
async def rotate_channel(
    house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[ChannelRotateIn | None] = None
) -> ChannelMade:
    """Messages are signed with both secrets until the overlap ends. 409 for kinds whose tokens their vendor makes."""
    channel_id = ids.parse(id)
    how = data or ChannelRotateIn()

    def work(edit: Edit) -> Once:
        row = rows.get(edit.tx, edit.workspace_id, channel_id)
        return channels.rotate(edit, row, how.overlap_minutes, how.secret)

    once = await house.configure.change(caller.workspace_id, caller.actor, work)
    return _made(house, await _shown(house, caller, channel_id), once)


@post(
    "/api/channels/{id:str}/test",
    guards=[scopes("config:write")],
    summary="Test a channel",
    operation_id="test_channel",
    tags=TAG,
    status_code=202,
)
async def test_channel(
    house: TheHouse,
    caller: TheCaller,
    id: FromPath[str],
    wait_seconds: Annotated[
        int,
        QueryParameter(name="wait_seconds", ge=0, le=20, description="How long the vendor's answer is waited for."),
    ] = 0,  # noqa: PT028 - a route, not a test
) -> TestedChannel:
    """A test message is owed to it and sent at once, also where it is marked broken."""
    channel_id = ids.parse(id)

    def work(edit: Edit) -> int:
        return channels.try_out(edit, rows.get(edit.tx, edit.workspace_id, channel_id))

    delivery_id = await house.configure.change(caller.workspace_id, caller.actor, work)
    if wait_seconds:
        house.deliver.wake()
    return await _answered(house, caller, delivery_id, wait_seconds)


async def _answered(house: House, caller: Caller, delivery_id: int, wait_s: float) -> TestedChannel:
    """What became of a test: waits for the first answer, also one after which it is tried again."""
    until_s = time.monotonic() + wait_s
    while True:
        held = await house.db.read(lambda tx: outbox.get(tx, caller.workspace_id, delivery_id))
        over = held.state in ("sent", "failed", "dropped") or held.last_error is not None
        if over or time.monotonic() >= until_s or house.leaving:
            live = house.registry.snapshot.channels.get(held.channel_id)
            took = f"{live.module.LABEL} took it" if held.state == "sent" and live is not None else None
            return TestedChannel(ids.show(delivery_id), held.state, took or held.last_error)
        await asyncio.sleep(_LOOK_S)


@get(
    "/api/channels/slack/manifest",
    guards=[scopes("config:read")],
    summary="The manifest of a Slack app for this box",
    operation_id="get_slack_manifest",
    tags=TAG,
)
async def get_manifest(
    house: TheHouse,
    caller: TheCaller,
    mode: Annotated[
        Mode | None, QueryParameter(name="mode", description="socket or http; left out: what suits this box.")
    ] = None,
) -> ManifestOut:
    """For "Create New App, From a manifest" in Slack: our scopes, and how presses of buttons come back."""
    public_url = house.settings.http.public_url
    best, why = suits(public_url)
    text = manifest(mode or best, public_url)
    return ManifestOut(
        mode=mode or best,
        suits=best,
        why=why,
        manifest=text,
        create_url=create_link(text),
        actions_url=forms.base_url(house.settings) + ACTIONS_PATH,
    )


ROUTES: Final = [
    list_channels, create_channel, get_channel, replace_channel, change_channel, delete_channel, rotate_channel,
    test_channel, get_manifest,
]  # fmt: skip
