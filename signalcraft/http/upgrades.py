"""GET /api/system/upgrades: versions and schemas of the box, what is kept from before them, and what went wrong.
/control/upgrades: for the commands, which tell each step of a change of version.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import get, post
from litestar.params import JSONBody
from msgspec import Struct

from signalcraft.http.auth import TheCaller, needs, scopes
from signalcraft.http.control import owner_only
from signalcraft.http.system import TAG
from signalcraft.http.wire import TheHouse, show_id, time_of
from signalcraft.services.care.upgrades import Step


class UpgradeRunOut(Struct, frozen=True, kw_only=True):
    """A migration or an upgrade. `state`: running, ok, failed, or cut off by the end of the program. `said`: what came
    of it; `from_schema`, `to_schema` are null for a change of version without one.
    """

    id: str
    kind: str
    state: str
    began_at: str
    took_ms: int | None
    said: str
    from_schema: int | None
    to_schema: int | None


class KeptOut(Struct, frozen=True, kw_only=True):
    """A copy of the database from before a migration, or one that a way back put aside (`newer`)."""

    file: str
    schema: int
    program: str
    made_at: str
    bytes: int
    newer: bool


class InstalledOut(Struct, frozen=True, kw_only=True):
    """A version of the program on this box."""

    version: str
    installed_at: str
    current: bool


class UpgradesOut(Struct, frozen=True, kw_only=True):
    """`prefix`: where installed versions lie, "" where the program is not one of several that can be switched."""

    version: str
    schema_level: int
    schema_newest: int
    runs: list[UpgradeRunOut]
    kept: list[KeptOut]
    prefix: str
    versions: list[InstalledOut]


@get(
    "/api/system/upgrades",
    guards=[needs("settings", "read")],
    summary="Versions and schemas",
    operation_id="get_upgrades",
    tags=TAG,
)
async def get_upgrades(house: TheHouse, caller: TheCaller) -> UpgradesOut:
    """The last migrations and upgrades, the backups kept from before them, and the versions that are installed."""
    seen = await house.upgrades.seen()
    return UpgradesOut(
        version=seen.program,
        schema_level=seen.level,
        schema_newest=seen.newest,
        runs=[
            UpgradeRunOut(
                id=show_id(run.id) or "",
                kind=run.kind,
                state=run.state,
                began_at=time_of(run.began_ms),
                took_ms=None if run.ended_ms is None else run.ended_ms - run.began_ms,
                said=run.said,
                from_schema=_number(run.figures.get("from")),
                to_schema=_number(run.figures.get("to")),
            )
            for run in seen.runs
        ],
        kept=[
            KeptOut(
                file=one.file, schema=one.schema, program=one.program, made_at=time_of(one.made_ms), bytes=one.bytes,
                newer=one.newer,
            )
            for one in seen.kept
        ],
        prefix=seen.prefix,
        versions=[
            InstalledOut(version=one.version, installed_at=time_of(one.installed_ms), current=one.current)
            for one in seen.versions
        ],
    )  # fmt: skip


@post("/control/upgrades", guards=[owner_only, scopes("admin")], include_in_schema=False, status_code=204)
async def control_step(house: TheHouse, caller: TheCaller, data: JSONBody[Step]) -> None:
    """It is written down with who does it, and told."""
    await house.upgrades.step(caller.actor, data)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


ROUTES: Final[list[Any]] = [get_upgrades, control_step]
