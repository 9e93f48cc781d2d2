"""Roles, and what each may do: the one table that every route, every API key and the dashboard are held against.

An access is a resource and a verb. A route declares the one it needs; a role or the scopes of an API key say which ones
their bearer has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, get_args

Role = Literal["owner", "admin", "member", "viewer"]
Resource = Literal[
    "alerts", "routing", "integrations", "channels", "settings", "users", "api_keys", "audit", "metrics",
    "account",  # oneself: whoever is signed in, and nobody else
    "public",  # open to everybody
]  # fmt: skip
Verb = Literal["read", "write"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""From the most to the least powerful."""


class Access(NamedTuple):
    """What one route needs."""

    resource: Resource
    verb: Verb

    def __str__(self) -> str:
        return f"{self.resource}:{self.verb}"


_READ: Final[tuple[Verb, ...]] = ("read",)
_WRITE: Final[tuple[Verb, ...]] = ("read", "write")

MATRIX: Final[dict[Role, dict[Resource, tuple[Verb, ...]]]] = {
    "owner": {
        "alerts": _WRITE,
        "routing": _WRITE,
        "integrations": _WRITE,
        "channels": _WRITE,
        "settings": _WRITE,
        "users": _WRITE,
        "api_keys": _WRITE,
        "audit": _WRITE,
        "metrics": _READ,
    },
    # The same, but an owner is out of its reach: see domain/people.py.
    "admin": {
        "alerts": _WRITE,
        "routing": _WRITE,
        "integrations": _WRITE,
        "channels": _WRITE,
        "settings": _WRITE,
        "users": _WRITE,
        "api_keys": _WRITE,
        "audit": _WRITE,
        "metrics": _READ,
    },
    "member": {
        "alerts": _WRITE,
        "routing": _READ,
        "integrations": _READ,
        "channels": _READ,
        "settings": _READ,
        "users": _READ,
        "metrics": _READ,
    },
    "viewer": {
        "alerts": _READ,
        "routing": _READ,
        "integrations": _READ,
        "channels": _READ,
        "settings": _READ,
        "users": _READ,
        "metrics": _READ,
    },
}
"""Role × resource. What is not here is not allowed."""

_CONFIG: Final[tuple[Resource, ...]] = ("routing", "integrations", "channels", "settings")

SCOPES: Final[dict[str, frozenset[Access]]] = {
    "admin": frozenset(Access(resource, verb) for resource, verbs in MATRIX["admin"].items() for verb in verbs),
    "alerts:read": frozenset({Access("alerts", "read")}),
    "alerts:write": frozenset({Access("alerts", "write")}),
    "config:read": frozenset(Access(resource, "read") for resource in _CONFIG),
    "config:write": frozenset(Access(resource, "write") for resource in _CONFIG),
    "metrics:read": frozenset({Access("metrics", "read")}),
}
"""What each scope of an API key allows. `admin` holds all the others; writing does not hold reading."""

_OF_ROLE: Final[dict[Role, frozenset[Access]]] = {
    role: frozenset(
        [
            *(Access(resource, verb) for resource, verbs in row.items() for verb in verbs),
            Access("account", "read"),
            Access("account", "write"),
        ]
    )
    for role, row in MATRIX.items()
}


def of_role(role: Role) -> frozenset[Access]:
    """Every access of a person in a role, their own account's too."""
    return _OF_ROLE[role]


def of_scopes(scopes: Iterable[str]) -> frozenset[Access]:
    """Every access of an API key with these scopes; an unknown scope gives none."""
    return frozenset().union(*(SCOPES.get(scope, frozenset()) for scope in scopes))


def scope_for(access: Access) -> str | None:
    """The least scope with which an API key has an access; None where no key has it."""
    found = [scope for scope, allows in SCOPES.items() if access in allows]
    return min(found, key=lambda scope: len(SCOPES[scope]), default=None)


def scopes_of(role: Role) -> frozenset[str]:
    """The scopes whose whole power a role has."""
    return frozenset(scope for scope, allows in SCOPES.items() if allows <= _OF_ROLE[role])


def outranks(actor: Role, other: Role) -> bool:
    """Whether somebody may change, remove or make a person of another role: only owners reach owners."""
    return actor == "owner" or (actor == "admin" and other != "owner")
