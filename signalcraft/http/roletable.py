"""/api/roles: what each role may do, for those who give roles and make API keys."""

from __future__ import annotations

from typing import Any, Final

from litestar import get
from msgspec import Struct

from signalcraft.domain import roles
from signalcraft.domain.roles import Role
from signalcraft.http.auth import needs


class RoleRow(Struct, frozen=True):
    """What people in a role may do: `alerts:write`, …"""

    role: Role
    access: list[str]


class ScopeOut(Struct, frozen=True):
    """What an API key with this scope may do."""

    scope: str
    access: list[str]


class RoleTable(Struct, frozen=True):
    """The table that every request is held against. The most powerful role first; the order of `resources` is ours."""

    resources: list[str]
    roles: list[RoleRow]
    scopes: list[ScopeOut]


@get(
    "/api/roles",
    guards=[needs("users", "read")],
    summary="What each role may do",
    operation_id="list_roles",
    tags=["people"],
)
async def list_roles() -> RoleTable:
    """Role by resource, and what the scopes of API keys allow."""
    table = roles.MATRIX
    return RoleTable(
        resources=list(dict.fromkeys(resource for row in table.values() for resource in row)),
        roles=[
            RoleRow(role, [f"{what}:{verb}" for what, verbs in row.items() for verb in verbs])
            for role, row in table.items()
        ],
        scopes=[ScopeOut(scope, sorted(map(str, allows))) for scope, allows in roles.SCOPES.items()],
    )


ROUTES: Final[list[Any]] = [list_roles]
