"""Data of a person: told as JSON, or erased. For admins by the API, for whoever is on the box by name."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from signalcraft.domain import ids
from signalcraft.http.auth import TheCaller, needs, step_up
from signalcraft.http.control import owner_only
from signalcraft.http.wire import TheHouse
from signalcraft.services.erasure import Erased

TAG: Final = ["people"]
_DANGER: Final = [needs("users", "write"), step_up]
_BOX: Final = [owner_only, needs("users", "write")]
_PATIENCE_S: Final = 40.0
_Name = Annotated[str, Meta(max_length=300)]


class SubjectIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Who: an e-mail address, or `slack:U…`. `also`: further ones, or `name:…`."""

    who: _Name
    also: Annotated[list[_Name], Meta(max_length=20)] = []


class SubjectData(Struct, frozen=True):
    """Everything that is kept about a person, without what proves who they are. Rows of a table: at most 5000.

    `about`: what was looked for. `account`: their account's own tables. `records`: rows of other tables that tell of
    them, webhooks with their bodies among them. `configuration`: what is set up with their name or address.
    `archive`: what tells of them among what was archived.
    """

    about: dict[str, Any]
    account: dict[str, Any]
    invitations: list[dict[str, Any]]
    records: dict[str, list[dict[str, Any]]]
    audit: list[dict[str, Any]]
    configuration: list[str]
    archive: list[dict[str, Any]] = []


class ErasedOut(Struct, frozen=True):
    """`done`: false while it goes on; ask again then. `person`: who stands in their place in the history.

    `rows`: how many were rewritten, by table. `named`: what is set up with their name or address, for you to change.
    """

    done: bool
    person: str = ""
    rows: dict[str, int] = {}
    named: list[str] = []


def _out(done: Erased | None) -> Response[ErasedOut]:
    if done is None:
        return Response(ErasedOut(False), status_code=202)
    return Response(ErasedOut(True, done.code, done.rows, done.named), status_code=200)


@post(
    "/api/people/{id:str}/export",
    guards=_DANGER,
    summary="What is kept about a person",
    operation_id="export_person",
    tags=TAG,
    status_code=200,
)
async def export_person(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> SubjectData:
    """In this workspace. A POST, because the audit log says who took it. 409: they belong to other workspaces too."""
    person_id = ids.parse(id)
    who = await house.erasure.member(caller.workspace_id, caller.by, person_id)
    told = await house.erasure.export(caller.workspace_id, caller.by, who, only=caller.workspace_id)
    return SubjectData(**told)


@post(
    "/api/people/{id:str}/erase",
    guards=_DANGER,
    summary="Erase a person",
    operation_id="erase_person",
    tags=TAG,
    status_code=200,
)
async def erase_person(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> Response[ErasedOut]:
    """Their account goes, and what tells of them in this workspace is replaced; what happened stays.

    202: it goes on, ask again. 409: the last owner, or somebody who belongs to other workspaces too.
    """
    person_id = ids.parse(id)
    who = await house.erasure.member(caller.workspace_id, caller.by, person_id)
    ws = caller.workspace_id
    return _out(await house.erasure.erase_for(_PATIENCE_S, ws, caller.by, who, only=ws))


@post("/control/person/export", guards=_BOX, include_in_schema=False, status_code=200)
async def export_subject(house: TheHouse, caller: TheCaller, data: JSONBody[SubjectIn]) -> SubjectData:
    """The same in the whole box, also for somebody without an account."""
    return SubjectData(**await house.erasure.export(caller.workspace_id, caller.by, data.who, data.also))


@post("/control/person/erase", guards=_BOX, include_in_schema=False, status_code=200)
async def erase_subject(house: TheHouse, caller: TheCaller, data: JSONBody[SubjectIn]) -> Response[ErasedOut]:
    """The same in the whole box, also for somebody without an account."""
    return _out(await house.erasure.erase_for(_PATIENCE_S, caller.workspace_id, caller.by, data.who, data.also))


ROUTES: Final = [export_person, erase_person, export_subject, erase_subject]
