"""What each role may do, as everybody may read it."""

from __future__ import annotations

from signalcraft.domain import roles
from tests.http.browsing import browser
from tests.world import World


def test_the_table_of_roles_is_the_one_that_requests_are_held_against(world: World) -> None:
    with browser(world, "reader@example.com", "viewer") as reader:
        table = reader.get("/api/roles")
        assert [one["role"] for one in table["roles"]] == list(roles.ROLES)
        for one in table["roles"]:
            own = {str(access) for access in roles.of_role(one["role"]) if access.resource != "account"}
            assert set(one["access"]) == own
            assert {access.partition(":")[0] for access in one["access"]} <= set(table["resources"])
        assert {one["scope"] for one in table["scopes"]} == set(roles.SCOPES)
        assert set(reader.get("/api/auth/me")["access"]) >= set(table["roles"][-1]["access"])
