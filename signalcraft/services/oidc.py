"""Single sign-on: OpenID Connect's authorization code flow with PKCE, and who somebody is here whom the provider names.

What a browser carries is a ticket in a cookie; state, nonce and PKCE verifier follow from it by a key that never leaves
this process, so nothing about a sign-in under way is stored, and nothing that could be stolen.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, urlencode

from msgspec import Struct

from signalcraft import logs
from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain.group import SYSTEM
from signalcraft.domain.people import NAME_MAX, clean_email
from signalcraft.domain.roles import ROLES, Role
from signalcraft.errors import Invalid, NotFound
from signalcraft.services.doors import Doors, Untrue
from signalcraft.services.gate import WrongCredentials
from signalcraft.services.people import By, People, actor_of
from signalcraft.services.provider import Grant, Provider
from signalcraft.services.sessions import SessionLive, Visitor, note
from signalcraft.services.tickets import LENGTH, SignInStale, Tickets
from signalcraft.storage import identities, journal, people, workspaces
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.identities import Identity
from signalcraft.storage.people import Person

log = logging.getLogger(__name__)

CALLBACK: Final = "/api/auth/oidc/callback"
METHOD: Final = "oidc"
_LOCAL: Final = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1000}")  # printable ASCII without a backslash, from our own root
_PROVIDER: Final = By(SYSTEM, "owner", None, box=True)


class OidcRefused(WrongCredentials):
    """The identity provider's word was not enough: the log says why, under the request id. The answer does not."""

    code = "sign_in_refused"

    def __init__(self, person_id: int = 0) -> None:
        super().__init__(
            "this sign-in was not accepted; whoever runs this SignalCraft finds the reason in its log", person_id
        )


class Begun(Struct, frozen=True):
    """Where the browser goes, and what it keeps meanwhile."""

    url: str
    cookie: str


class Said(Struct, frozen=True):
    """What came back with the browser (RFC 6749, 4.1.2; RFC 9207), "" for what did not."""

    code: str = ""
    state: str = ""
    error: str = ""
    issuer: str = ""


class Ended(Struct, frozen=True):
    """A session's token, and the local path to go on at."""

    token: str
    path: str


class Claimed(Struct, frozen=True):
    """What the provider says of a person. `email`: verified and in lower case; `auth_ms`: when they last proved
    themselves to the provider, None where it does not say; `role`: None where their groups give none.
    """

    subject: str
    email: str
    name: str
    role: Role | None
    auth_ms: int | None


class Oidc:
    """Begins and ends sign-ins by the provider. One instance, used on the event loop."""

    def __init__(
        self,
        settings: Settings,
        db: Db,
        people: People,
        provider: Provider,
        doors: Doors,
        tickets: Tickets,
        now: Callable[[], int],
    ) -> None:
        self.settings = settings.oidc
        self.db = db
        self.people = people
        self.signin = people.signin
        self.provider = provider
        self.doors = doors
        self.tickets = tickets
        self.now = now
        self.redirect_uri = doors.base + CALLBACK
        self.role_of = dict(one.rpartition("=")[::2] for one in settings.oidc.roles)
        logs.redact.add(settings.oidc.client_secret.reveal())

    # -- there and back -----------------------------------------------------------------------------------------------

    async def begin(self, path: str, again: bool) -> Begun:
        """`path`: where to go on afterwards, "/…" of our own; `again`: the provider is to ask for a fresh proof.

        Raises NotFound where there is no provider, Invalid, Unavailable.
        """
        if not self.settings.issuer:
            raise NotFound("single sign-on is not set up here: see oidc.issuer")
        if not _LOCAL.fullmatch(path):
            raise Invalid("a path of this site is needed, such as /alerts", path="next")
        provider = await self.provider.document()
        ticket = self.tickets.make(_purpose(path))
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(dict.fromkeys(["openid", *self.settings.scopes])),
            "state": self._state(ticket),
            "nonce": self._nonce(ticket),
            "code_challenge": _b64(hashlib.sha256(self._verifier(ticket).encode()).digest()),
            "code_challenge_method": "S256",
            # max_age rather than prompt=login: providers must then say when it was (auth_time).
            **({"max_age": "0"} if again else {}),
        }
        joint = "&" if "?" in provider.authorization_endpoint else "?"
        url = provider.authorization_endpoint + joint + urlencode(asked, quote_via=quote)
        return Begun(url, f"{_b64(ticket)}.{quote(path, safe='')}")

    async def end(self, cookie: str, path: str, said: Said, visitor: Visitor, old: bytes = b"") -> Ended:
        """The session of whom the provider names. `cookie`, `path`: what the browser kept.

        Raises SignInStale where this browser began no such sign-in (any more), OidcRefused, Unavailable, TooMany, Busy.
        """
        if not self.settings.issuer:
            raise NotFound("single sign-on is not set up here: see oidc.issuer")
        ticket = _unb64(cookie)
        if len(ticket) != LENGTH or not _LOCAL.fullmatch(path):
            raise SignInStale
        if not hmac.compare_digest(said.state.encode(), self._state(ticket).encode()):
            raise SignInStale
        self.tickets.take(ticket, _purpose(path))
        token = await self._exchanged(ticket, said, visitor, old)
        return Ended(token, path)

    async def _exchanged(self, ticket: bytes, said: Said, visitor: Visitor, old: bytes) -> str:
        why, claimed = "", None
        try:
            claimed = self._read(await self._grant(ticket, said))
        except Untrue as untrue:
            why = str(untrue)

        async def check() -> str:
            if claimed is None:
                raise self._refusal(why)
            now_ms = self.now()
            return await self.db.write(lambda tx: self._admit(tx, claimed, visitor, old, now_ms))

        # Through the gate: what is refused counts against the address, like a wrong password.
        return await self.signin.gate.tried(visitor.address, "", check)

    async def _grant(self, ticket: bytes, said: Said) -> Grant:
        provider = await self.provider.document()
        if said.issuer != self.settings.issuer and (said.issuer or provider.names_itself):
            raise Untrue("the answer comes from another provider (iss)")
        if said.error or not said.code:
            raise Untrue(f"the provider said {said.error[:100]!r}")
        return await self.provider.redeem(said.code, self.redirect_uri, self._verifier(ticket), self._nonce(ticket))

    def _state(self, ticket: bytes) -> str:
        return _b64(self.tickets.derive(ticket, "oidc state"))

    def _nonce(self, ticket: bytes) -> str:
        return _b64(self.tickets.derive(ticket, "oidc nonce"))

    def _verifier(self, ticket: bytes) -> str:
        return _b64(self.tickets.derive(ticket, "oidc verifier"))

    # -- who it is ----------------------------------------------------------------------------------------------------

    def _read(self, grant: Grant) -> Claimed:
        """Raises Untrue."""
        verified = self.settings.email_verified_claim
        for claims in (grant.claims, grant.userinfo):  # the address and the word for it from one and the same
            if claims.get("email") and claims.get(verified) in (True, "true", "True", 1, "1"):
                break
        else:
            raise Untrue(f"the provider does not say that it verified the e-mail address ({verified})")
        try:
            email = clean_email(str(claims["email"]))
        except Invalid:
            raise Untrue("the e-mail address cannot be read") from None
        domains = self.settings.allowed_domains
        domain = email.rpartition("@")[2]
        if domains and domain not in domains:
            raise Untrue(f"e-mail addresses of {domain} may not sign in (oidc.allowed_domains)")
        both = {**grant.userinfo, **grant.claims}
        auth = grant.claims.get("auth_time")
        told = isinstance(auth, int | float) and not isinstance(auth, bool)
        return Claimed(
            subject=grant.claims["sub"],
            email=email,
            name=_name(both, email),
            role=self._role(both),
            auth_ms=int(auth * 1000) if told and auth is not None else None,
        )

    def _role(self, claims: dict[str, Any]) -> Role | None:
        said = claims.get(self.settings.role_claim) if self.settings.role_claim else None
        groups = said if isinstance(said, list) else [said]
        given = {self.role_of[one] for one in groups if isinstance(one, str) and one in self.role_of}
        for role in ROLES:
            if role in given:
                return role
        return None if self.settings.default_role == "none" else self.settings.default_role

    def _refusal(self, why: str, person_id: int = 0) -> OidcRefused:
        person = ids.show(person_id) if person_id else "nobody known"
        log.warning("a sign-in by the identity provider was refused", extra={"why": why, "person": person})
        return OidcRefused(person_id)

    def _admit(self, tx: Tx, claimed: Claimed, visitor: Visitor, old: bytes, now_ms: int) -> str:
        """Raises OidcRefused, having changed nothing."""
        identity = identities.find(tx, self.settings.issuer, claimed.subject)
        if identity is not None:
            person = people.get(tx, identity.person_id)
            identities.used(tx, identity.id, claimed.email, now_ms)
        else:
            person = people.by_email(tx, claimed.email) or self._new(tx, claimed, now_ms)
            self._link(tx, person, claimed, now_ms)
        if person.disabled_ms is not None:
            raise self._refusal("the account is disabled", person.id)
        self._follow(tx, person, claimed, now_ms)
        if not people.roles(tx, person.id):
            raise self._refusal("the account belongs to no workspace", person.id)
        # Whoever was signed in at the provider all day has proved nothing just now.
        proved_ms = now_ms if claimed.auth_ms is None else max(min(claimed.auth_ms, now_ms), 0)
        return self.signin.open_in(tx, person.id, METHOD, visitor, now_ms, old, step_up_ms=proved_ms)

    def _new(self, tx: Tx, claimed: Claimed, now_ms: int) -> Person:
        if not self.settings.allowed_domains:
            raise self._refusal("there is no such account, and oidc.allowed_domains is empty: none is made")
        if not people.any_owner(tx):
            raise self._refusal("nobody owns this SignalCraft yet: the owner comes first")
        if claimed.role is None:
            raise self._refusal("there is no such account, and no role for it (oidc.default_role)")
        person = Person(id=tx.new_id(now_ms), email=claimed.email, name=claimed.name, created_ms=now_ms)
        people.insert(tx, person)
        people.join(tx, workspaces.DEFAULT_ID, person.id, claimed.role, now_ms)
        said = {"person": ids.show(person.id), "email": person.email, "role": claimed.role, "method": METHOD}
        journal.add(tx, now_ms, workspaces.DEFAULT_ID, None, "person_added", SYSTEM, {**said})
        return person

    def _link(self, tx: Tx, person: Person, claimed: Claimed, now_ms: int) -> None:
        if any(one.issuer == self.settings.issuer for one in identities.of_person(tx, person.id)):
            # An address that was given to somebody else does not hand them the account as well.
            raise self._refusal("the account is linked to another subject of this provider", person.id)
        identity = Identity(
            id=tx.new_id(now_ms),
            person_id=person.id,
            issuer=self.settings.issuer,
            subject=claimed.subject,
            email=claimed.email,
            created_ms=now_ms,
            last_used_ms=now_ms,
        )
        identities.insert(tx, identity)
        said = {"identity": ids.show(identity.id), "issuer": identity.issuer}
        note(tx, now_ms, person.id, "identity_linked", actor_of(person), {**said})

    def _follow(self, tx: Tx, person: Person, claimed: Claimed, now_ms: int) -> None:
        """With a role_claim the provider decides what somebody is in the first workspace; owners stay owners."""
        has = people.roles(tx, person.id).get(workspaces.DEFAULT_ID)
        if not self.settings.role_claim or has is None or has == "owner":
            return
        if claimed.role is None:
            raise self._refusal("their groups give no role (oidc.roles)", person.id)
        if claimed.role != has:
            member = people.member(tx, workspaces.DEFAULT_ID, person.id)
            self.people.give_in(tx, workspaces.DEFAULT_ID, _PROVIDER, member, claimed.role, now_ms)
            tx.then(self.signin.sessions.forget)

    # -- one's own links ----------------------------------------------------------------------------------------------

    async def own(self, person_id: int) -> list[Identity]:
        """Who a person is at the provider; at an earlier one too."""
        return await self.db.read(lambda tx: identities.of_person(tx, person_id))

    async def unlink(self, session: SessionLive, identity_id: int) -> None:
        """The next sign-in by the provider links anew. Raises NotFound, Conflict for the last way in."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            found = [one for one in identities.of_person(tx, session.person_id) if one.id == identity_id]
            if not found:
                raise NotFound("no such link")
            self.doors.check_stays(tx, session.person_id, but_identity=identity_id)
            identities.remove(tx, session.person_id, identity_id)
            said = {"identity": ids.show(identity_id), "issuer": found[0].issuer}
            note(tx, now_ms, session.person_id, "identity_unlinked", session.actor, {**said})

        await self.db.write(work)


def _name(claims: dict[str, Any], email: str) -> str:
    for said in (claims.get("name"), claims.get("preferred_username"), email.partition("@")[0]):
        clean = " ".join("".join(c if c.isprintable() else " " for c in str(said or "")).split())[:NAME_MAX].strip()
        if clean:
            return clean
    return email[:NAME_MAX]


def _purpose(path: str) -> str:
    return f"oidc {path}"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    if not text.isascii() or len(text) > 200:
        return b""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""
