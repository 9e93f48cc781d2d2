"""Who may do what: the table itself, and how API keys' scopes and people's ranks follow from it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from signalcraft.domain import roles
from signalcraft.domain.roles import MATRIX, ROLES, SCOPES, Access, Role, of_role, of_scopes, outranks, scope_for

# The matrix once more, as a person would write it down: r reads, w writes.
WRITTEN = {
    "alerts": {"owner": "rw", "admin": "rw", "member": "rw", "viewer": "r"},
    "routing": {"owner": "rw", "admin": "rw", "member": "r", "viewer": "r"},
    "integrations": {"owner": "rw", "admin": "rw", "member": "r", "viewer": "r"},
    "channels": {"owner": "rw", "admin": "rw", "member": "r", "viewer": "r"},
    "settings": {"owner": "rw", "admin": "rw", "member": "r", "viewer": "r"},
    "users": {"owner": "rw", "admin": "rw", "member": "r", "viewer": "r"},
    "api_keys": {"owner": "rw", "admin": "rw", "member": "", "viewer": ""},
    "audit": {"owner": "rw", "admin": "rw", "member": "", "viewer": ""},
    "metrics": {"owner": "r", "admin": "r", "member": "r", "viewer": "r"},
    "account": {"owner": "rw", "admin": "rw", "member": "rw", "viewer": "rw"},
    "public": {"owner": "", "admin": "", "member": "", "viewer": ""},
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("resource", WRITTEN)
def test_each_cell_of_the_matrix(resource: roles.Resource, role: Role) -> None:
    allowed = of_role(role)
    said = ("r" if Access(resource, "read") in allowed else "") + ("w" if Access(resource, "write") in allowed else "")
    assert said == WRITTEN[resource][role]


def test_no_lesser_role_may_what_a_greater_one_may_not() -> None:
    for greater, lesser in itertools.pairwise(ROLES):
        assert of_role(lesser) <= of_role(greater)


def test_every_resource_of_the_matrix_has_a_row_above() -> None:
    assert {resource for row in MATRIX.values() for resource in row} | {"account", "public"} == set(WRITTEN)


def test_the_scopes_of_a_key() -> None:
    assert set(SCOPES) == {"admin", "alerts:read", "alerts:write", "config:read", "config:write", "metrics:read"}
    assert of_scopes([]) == of_scopes(["no such scope"]) == frozenset()
    assert of_scopes(["alerts:read", "metrics:read"]) == {Access("alerts", "read"), Access("metrics", "read")}
    assert Access("channels", "write") not in of_scopes(["config:read"])
    for scope in SCOPES:
        assert of_scopes([scope]) <= of_scopes(["admin"])


def test_no_key_has_an_account() -> None:
    assert not [a for a in of_scopes(SCOPES) if a.resource in ("account", "public")]


@pytest.mark.parametrize(
    ("access", "scope"),
    [
        (Access("alerts", "read"), "alerts:read"),
        (Access("alerts", "write"), "alerts:write"),
        (Access("routing", "read"), "config:read"),
        (Access("settings", "write"), "config:write"),
        (Access("metrics", "read"), "metrics:read"),
        (Access("users", "read"), "admin"),
        (Access("api_keys", "write"), "admin"),
        (Access("audit", "read"), "admin"),
        (Access("account", "read"), None),
        (Access("public", "read"), None),
    ],
)
def test_the_least_scope_for_an_access(access: Access, scope: str | None) -> None:
    assert scope_for(access) == scope


def test_the_scopes_of_a_role() -> None:
    assert roles.scopes_of("owner") == roles.scopes_of("admin") == set(SCOPES)
    assert roles.scopes_of("member") == {"alerts:read", "alerts:write", "config:read", "metrics:read"}
    assert roles.scopes_of("viewer") == {"alerts:read", "config:read", "metrics:read"}


def test_only_owners_reach_owners() -> None:
    reach = {(a, b) for a in ROLES for b in ROLES if outranks(a, b)}
    assert reach == {
        *(("owner", b) for b in ROLES),
        *(("admin", b) for b in ROLES if b != "owner"),
    }


def test_the_page_about_people_shows_this_very_matrix() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/people.md").read_text("utf-8")
    table = re.findall(r"^\| ([a-z ]+) \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", page, re.MULTILINE)
    rows = {name.replace(" ", "_"): cells for name, *cells in table if name != "resource"}
    assert set(rows) == set(MATRIX["owner"])
    for resource, cells in rows.items():
        for role, cell in zip(ROLES, cells, strict=False):
            assert cell.strip() == ", ".join(MATRIX[role].get(resource, ())), (resource, role)  # type: ignore[call-overload]
        allowed = MATRIX["owner"][resource]  # type: ignore[index]
        scopes = dict.fromkeys(f"`{scope_for(Access(resource, verb))}`" for verb in allowed)  # type: ignore[arg-type]
        assert cells[4].strip() == ", ".join(scopes)
