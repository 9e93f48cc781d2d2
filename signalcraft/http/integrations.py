"""/api/integrations: the senders that may speak to us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from litestar import Request, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain.setup import SetupStep
from signalcraft.errors import Fault, Invalid
from signalcraft.http.auth import Caller, TheCaller, scopes, step_up
from signalcraft.http.pages import page_of
from signalcraft.http.payloads import list_payloads
from signalcraft.http.states import IntegrationHealth, integrations_health
from signalcraft.http.wire import Cursor, Limit, TheHouse, show_id, show_time, time_of
from signalcraft.services import forms, trial
from signalcraft.services.applyfile import drafted, flat
from signalcraft.services.configure import Edit, integrations
from signalcraft.services.configure.edit import Once
from signalcraft.services.house import House
from signalcraft.services.kinds import SOURCE_KINDS
from signalcraft.services.registry import Registry
from signalcraft.storage import integrations as rows
from signalcraft.storage.db import Tx

TAG: Final = ["integrations"]
_NOT_WRITTEN: Final = frozenset(
    ("id", "secrets", "token_hint", "previous_until", "warnings", "health", "created_at", "updated_at")
)
"""What we tell of an integration and a client may send back: it changes nothing."""
D = TypeVar("D")


class IntegrationIn(Struct, frozen=True, kw_only=True):
    """An integration. What its kind needs stands in `config`, or beside it as in the file of `apply`.

    A token that is left out is made; so is a secret of a kind whose senders sign, unless `require_signature` is false.
    See /api/kinds for what each kind needs.
    """

    name: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    token: Annotated[str, Meta(description="The last part of its webhook address; never shown again.")] | UnsetType = (
        UNSET
    )
    config: dict[str, Any] | UnsetType = UNSET


class IntegrationOut(Struct, frozen=True, kw_only=True):
    """An integration. `config` holds what is no secret, `secrets` the names of the secrets that are set.

    `token_hint`: the last four characters of its token. `previous_until`: until then what was rotated still works.
    """

    id: str
    name: str
    kind: str
    enabled: bool
    config: dict[str, Any]
    secrets: list[str]
    token_hint: str
    previous_until: str | None
    warnings: list[str]
    health: IntegrationHealth
    created_at: str
    updated_at: str


class IntegrationMade(IntegrationOut, frozen=True, kw_only=True):
    """The same, with what is told this once: the token, the address with it in, and a secret that was made here.

    `setup`: what to do at the sender, with all that filled in.
    """

    token: str | None
    webhook_url: str | None
    secret: str | None
    setup: list[SetupStep]


class IntegrationPage(Struct, frozen=True):
    """By name."""

    items: list[IntegrationOut]
    next: str | None


class RotateIn(Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes new, and for how many minutes the earlier one still works.

    `what` left out: both, or the token alone where the vendor makes the secret. `secret`: the vendor's new one.
    """

    overlap_minutes: int = integrations.OVERLAP_MINUTES
    what: Literal["token", "secret", "both"] | None = None
    secret: str | None = None


class TryIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`as_alert`: open an alert group and tell whom a real alert of this integration would tell."""

    as_alert: bool = False


class TestedIntegration(Struct, frozen=True):
    """The event that was stored; where it was sent as an alert, its group: its deliveries say what became of it."""

    event_id: str
    group_id: str | None


def out(tx: Tx, registry: Registry, row: rows.Integration, health: IntegrationHealth) -> IntegrationOut:
    """An integration as it leaves."""
    seen = integrations.seen(tx, registry, row)
    return IntegrationOut(
        id=ids.show(row.id),
        name=row.name,
        kind=row.kind,
        enabled=row.enabled,
        config=row.config,
        secrets=list(seen.secrets),
        token_hint=row.token_hint,
        previous_until=show_time(row.previous_until_ms),
        warnings=list(seen.warnings),
        health=health,
        created_at=time_of(row.created_ms),
        updated_at=time_of(row.updated_ms),
    )


def made(shown: IntegrationOut, once: Once, settings: Settings) -> IntegrationMade:
    """The same with what is told once."""
    fields = {name: getattr(shown, name) for name in shown.__struct_fields__}
    known = {"webhook_url": once.webhook_url, "secret": once.secret, "name": shown.name}
    return IntegrationMade(
        **fields,
        token=once.token,
        webhook_url=once.webhook_url,
        secret=once.secret,
        setup=forms.setup(SOURCE_KINDS[shown.kind], settings, known),
    )


async def draft_of(request: Request[Any, Any, Any], of: type[D], not_written: frozenset[str]) -> D:
    """The body as a draft: what is not ours is its kind's. The body was decoded once already: it is an object."""
    body: dict[str, Any] = msgspec.json.decode(await request.body())
    return drafted(flat({k: v for k, v in body.items() if k not in not_written}), of)


def as_written(fault: Fault, body: Mapping[str, Any] | None) -> Fault:
    """A fault whose paths are spelled as the client spelled them: without `config.` where it wrote none."""
    if body is not None and "config" not in body:
        fault.errors = tuple((path.removeprefix("config."), sentence) for path, sentence in fault.errors)
    return fault


async def _change(request: Request[Any, Any, Any], house: House, caller: Caller, work: Callable[[Edit], D]) -> D:
    try:
        return await house.configure.change(caller.workspace_id, caller.actor, work)
    except Fault as fault:
        raise as_written(fault, msgspec.json.decode(await request.body())) from None


@get(
    "/api/integrations",
    guards=[scopes("config:read")],
    summary="Integrations",
    operation_id="list_integrations",
    tags=TAG,
)
async def list_integrations(
    house: TheHouse, caller: TheCaller, limit: Limit = 50, cursor: Cursor = None
) -> IntegrationPage:
    """Every integration of the workspace, by name."""

    def read(tx: Any) -> IntegrationPage:
        page, more = page_of(rows.every(tx, caller.workspace_id), limit, cursor)
        health = integrations_health(tx, house, caller.workspace_id, [row.id for row in page])
        return IntegrationPage([out(tx, house.registry, row, health[row.id]) for row in page], more)

    return await house.db.read(read)


@post(
    "/api/integrations",
    guards=[scopes("config:write")],
    summary="Make an integration",
    operation_id="create_integration",
    tags=TAG,
)
async def create_integration(
    request: Request[Any, Any, Any], house: TheHouse, caller: TheCaller, data: JSONBody[IntegrationIn]
) -> IntegrationMade:
    """Its webhook address, and a secret that is made for it, are told this once. It takes webhooks from now on."""
    draft = await draft_of(request, integrations.Draft, _NOT_WRITTEN)

    def work(edit: Edit) -> tuple[int, Once]:
        row, once = integrations.create(edit, draft)
        return row.id, once

    integration_id, once = await _change(request, house, caller, work)
    return made(await _shown(house, caller, integration_id), once, house.settings)


async def _shown(house: House, caller: Caller, integration_id: int) -> IntegrationOut:
    def read(tx: Any) -> IntegrationOut:
        row = rows.get(tx, caller.workspace_id, integration_id)
        health = integrations_health(tx, house, caller.workspace_id, [row.id])
        return out(tx, house.registry, row, health[row.id])

    return await house.db.read(read)


@get(
    "/api/integrations/{id:str}",
    guards=[scopes("config:read")],
    summary="One integration",
    operation_id="get_integration",
    tags=TAG,
)
async def get_integration(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> IntegrationOut:
    """The integration."""
    return await _shown(house, caller, ids.parse(id))


@put(
    "/api/integrations/{id:str}",
    guards=[scopes("config:write")],
    summary="Replace an integration",
    operation_id="replace_integration",
    tags=TAG,
)
async def replace_integration(
    request: Request[Any, Any, Any],
    house: TheHouse,
    caller: TheCaller,
    id: FromPath[str],
    data: JSONBody[IntegrationIn],
) -> IntegrationOut:
    """What is left out goes back to its default; a token or secret that is left out stays."""
    if data.name is UNSET:
        raise Invalid("name: is needed", path="name")
    return await _updated(request, house, caller, id, whole=True)


@patch(
    "/api/integrations/{id:str}",
    guards=[scopes("config:write")],
    summary="Change an integration",
    operation_id="change_integration",
    tags=TAG,
)
async def change_integration(
    request: Request[Any, Any, Any],
    house: TheHouse,
    caller: TheCaller,
    id: FromPath[str],
    data: JSONBody[IntegrationIn],
) -> IntegrationOut:
    """What is left out stays as it is; an empty secret is taken away."""
    return await _updated(request, house, caller, id, whole=False)


async def _updated(
    request: Request[Any, Any, Any], house: House, caller: Caller, id: str, *, whole: bool
) -> IntegrationOut:
    integration_id = ids.parse(id)
    draft = await draft_of(request, integrations.Draft, _NOT_WRITTEN)

    def work(edit: Edit) -> None:
        row = rows.get(edit.tx, edit.workspace_id, integration_id)
        integrations.update(edit, row, draft, whole=whole)

    await _change(request, house, caller, work)
    return await _shown(house, caller, integration_id)


@delete(
    "/api/integrations/{id:str}",
    guards=[scopes("config:write")],
    summary="Delete an integration",
    operation_id="delete_integration",
    tags=TAG,
    status_code=204,
)
async def delete_integration(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """Its address answers 404 from now on; its events and alert groups stay."""
    integration_id = ids.parse(id)

    def work(edit: Edit) -> None:
        integrations.delete(edit, rows.get(edit.tx, edit.workspace_id, integration_id))

    await house.configure.change(caller.workspace_id, caller.actor, work)


@post(
    "/api/integrations/{id:str}/rotate",
    guards=[scopes("config:write"), step_up],
    summary="Rotate an integration's token and secret",
    operation_id="rotate_integration",
    tags=TAG,
    status_code=200,
)
async def rotate_integration(
    house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[RotateIn | None] = None
) -> IntegrationMade:
    """A new address, a new secret, or both; the earlier ones work until the overlap ends."""
    integration_id = ids.parse(id)
    how = data or RotateIn()

    def work(edit: Edit) -> Once:
        row = rows.get(edit.tx, edit.workspace_id, integration_id)
        return integrations.rotate(edit, row, how.what, how.overlap_minutes, how.secret)

    once = await house.configure.change(caller.workspace_id, caller.actor, work)
    return made(await _shown(house, caller, integration_id), once, house.settings)


@post(
    "/api/integrations/{id:str}/test",
    guards=[scopes("config:write")],
    summary="Test an integration",
    operation_id="test_integration",
    tags=TAG,
    status_code=202,
)
async def try_integration(
    house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[TryIn | None] = None
) -> TestedIntegration:
    """Stores an event of kind `test`, as a sender's own test would: it opens no alert group and tells nobody.

    With `as_alert` it opens one, of low severity in the environment `test`, and goes the whole way of a real alert.
    """
    integration_id = ids.parse(id)
    if data is not None and data.as_alert:
        receipt = await trial.tell(house.ingest, caller.workspace_id, integration_id, caller.actor)
        return TestedIntegration(ids.show(receipt.event_id), show_id(receipt.group_id))

    def work(edit: Edit) -> int:
        return integrations.try_out(edit, rows.get(edit.tx, edit.workspace_id, integration_id))

    event_id = await house.configure.change(caller.workspace_id, caller.actor, work)
    return TestedIntegration(ids.show(event_id), None)


ROUTES: Final = [
    list_integrations, create_integration, get_integration, replace_integration, change_integration,
    delete_integration, rotate_integration, try_integration, list_payloads,
]  # fmt: skip
