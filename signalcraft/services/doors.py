"""The doors beside the password: where they stand, and that nobody is left without one."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict
from signalcraft.services.sessions import note
from signalcraft.storage import identities, passkeys, people
from signalcraft.storage.db import Tx

LAST: Final = "this is the last way in of an account without a password: add another one first"
_PORTS: Final = {"http": 80, "https": 443}


class Untrue(Exception):
    """What a browser or a provider sent is not to be believed; the text says why, for the log."""


class Party(Struct, frozen=True):
    """What passkeys are made for: a host name, and the origin of the pages that may ask for them; "" for none."""

    rp_id: str = ""
    origin: str = ""


def party(base: str) -> Party:
    """The one of an address that browsers use, such as http.public_url.

    Browsers have passkeys over HTTPS and on localhost only, and for no bare address (WebAuthn, 5.1.3 and 13.4.9):
    loopback is called localhost, everything else has none.
    """
    parts = urlsplit(base)
    host = (parts.hostname or "").rstrip(".")
    try:
        if ipaddress.ip_address(host).is_loopback:
            host = "localhost"
        else:
            return Party()
    except ValueError:
        pass
    is_local = host == "localhost" or host.endswith(".localhost")
    if not host or (parts.scheme != "https" and not is_local):
        return Party()
    try:
        host = host.encode("idna").decode()
    except UnicodeError:
        return Party()
    port = f":{parts.port}" if parts.port not in (None, _PORTS.get(parts.scheme)) else ""
    return Party(host, f"{parts.scheme}://{host}{port}")


class Doors:
    """Which doors this box has. `base`: its address as browsers use it."""

    def __init__(self, settings: Settings, base: str) -> None:
        self.base = base
        self.party = party(base)
        self.issuer = settings.oidc.issuer

    def methods(self) -> list[str]:
        """Ways to sign in that work here."""
        return [
            "password",
            *(["passkey"] if self.party.rp_id else []),
            *(["oidc"] if self.issuer else []),
        ]

    def check_stays(self, tx: Tx, person_id: int, *, but_passkey: int = 0, but_identity: int = 0) -> None:
        """Raises Conflict where a person would have no way in without a passkey, or without a link."""
        if people.get(tx, person_id).password_hash is not None:
            return
        keys = (one.id for one in passkeys.of_person(tx, person_id) if one.rp_id == self.party.rp_id)
        links = (one.id for one in identities.of_person(tx, person_id) if one.issuer == self.issuer)
        if not any(one != but_passkey for one in keys) and not any(one != but_identity for one in links):
            raise Conflict(LAST)


def shut_in(tx: Tx, person_id: int, actor: Actor, now_ms: int) -> None:
    """Takes every passkey and link of a person away: what somebody else may have put there goes with a lost phone."""
    for passkey in passkeys.of_person(tx, person_id):
        passkeys.remove(tx, person_id, passkey.id)
        said = {"passkey": ids.show(passkey.id), "name": passkey.name}
        note(tx, now_ms, person_id, "passkey_removed", actor, {**said})
    for identity in identities.of_person(tx, person_id):
        identities.remove(tx, person_id, identity.id)
        note(tx, now_ms, person_id, "identity_unlinked", actor, {"issuer": identity.issuer})
