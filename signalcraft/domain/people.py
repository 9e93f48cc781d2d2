"""People: their names and addresses, who may change whom, how long a session lasts, and when somebody is locked out."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from signalcraft.domain.roles import Role, outranks
from signalcraft.errors import Conflict, Forbidden, Invalid

EMAIL_MAX: Final = 254
NAME_MAX: Final = 100
STEP_UP_MS: Final = 10 * 60_000
"""For so long after a password or code was entered, dangerous actions need no further one."""
INVITATION_MS: Final = 7 * 86_400_000
RESET_MS: Final = 86_400_000
"""How long a link that sets a new password works."""

_MINUTE_MS: Final = 60_000
_EMAIL: Final = re.compile(r"[^\s@<>()\[\],;:\\\"]+@[^\s@<>()\[\],;:\\\"]+")


def clean_email(text: str, path: str = "email") -> str:
    """An e-mail address as it is kept: lower case. Raises Invalid at `path`."""
    email = text.strip().lower()
    if len(email) > EMAIL_MAX or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise Invalid("an e-mail address looks like sam@example.com", path=path)
    return email


def clean_name(text: str, path: str = "name") -> str:
    """A person's name, one line. Raises Invalid at `path`."""
    name = " ".join(text.split())
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise Invalid(f"a name has 1 to {NAME_MAX} printable characters", path=path)
    return name


# -- who may change whom ----------------------------------------------------------------------------------------------


def check_rank(actor: Role, other: Role) -> None:
    """Raises Forbidden where somebody reaches for a person, or for a role, above their own."""
    if not outranks(actor, other):
        raise Forbidden("only an owner may make, change or remove an owner")


def check_owner_stays(role: Role, becomes: Role | None, owners: int) -> None:
    """Raises Conflict where the last owner would be gone. `becomes`: None for a removal; `owners`: active ones now."""
    if role == "owner" and becomes != "owner" and owners <= 1:
        raise Conflict("this is the last owner: make somebody else an owner first")


# -- sessions ---------------------------------------------------------------------------------------------------------


def session_holds(now_ms: int, seen_ms: int, expires_ms: int, idle_ms: int) -> bool:
    """Whether a session still counts: neither past its last day nor unused for too long."""
    return now_ms < expires_ms and now_ms - seen_ms < idle_ms


# -- lockout ----------------------------------------------------------------------------------------------------------


class Failures(Struct, frozen=True):
    """What is remembered of failed sign-ins, of one account or one address.

    `n` failures since `since_ms`; locked until `locked_until_ms` (0: never was) for the `locks`-th time in a row; the
    latest failure was at `last_ms`.
    """

    n: int = 0
    since_ms: int = 0
    locked_until_ms: int = 0
    locks: int = 0
    last_ms: int = 0


class Lockout(Struct, frozen=True, kw_only=True):
    """`most` failures within `window_ms` lock for `lock_ms`, the next time twice as long, up to `lock_max_ms`.

    After `forget_ms` without a failure nothing is remembered. `most` of 0: never.
    """

    most: int
    window_ms: int
    lock_ms: int
    lock_max_ms: int
    forget_ms: int


def account_lockout(most: int) -> Lockout:
    """So many failures of one account in 15 minutes lock it for 15 minutes, then 30, …, at most a day."""
    return Lockout(
        most=most,
        window_ms=15 * _MINUTE_MS,
        lock_ms=15 * _MINUTE_MS,
        lock_max_ms=24 * 60 * _MINUTE_MS,
        forget_ms=24 * 60 * _MINUTE_MS,
    )


def address_lockout(most: int) -> Lockout:
    """So many failures from one address in a minute close the door for a minute, then two, …, at most 15."""
    return Lockout(
        most=most,
        window_ms=_MINUTE_MS,
        lock_ms=_MINUTE_MS,
        lock_max_ms=15 * _MINUTE_MS,
        forget_ms=60 * _MINUTE_MS,
    )


def locked_ms(failures: Failures, now_ms: int) -> int:
    """For how much longer nothing is tried; 0 when it may be."""
    return max(failures.locked_until_ms - now_ms, 0)


def failed(failures: Failures, now_ms: int, policy: Lockout) -> Failures:
    """What is remembered after one more failure."""
    if failures.last_ms and now_ms - max(failures.last_ms, failures.locked_until_ms) >= policy.forget_ms:
        failures = Failures()
    within = failures.n > 0 and now_ms - failures.since_ms < policy.window_ms
    n = failures.n + 1 if within else 1
    since_ms = failures.since_ms if within else now_ms
    if policy.most and n >= policy.most:
        wait_ms = min(policy.lock_ms * 2 ** min(failures.locks, 20), policy.lock_max_ms)
        return Failures(0, 0, now_ms + wait_ms, failures.locks + 1, now_ms)
    return Failures(n, since_ms, failures.locked_until_ms, failures.locks, now_ms)
