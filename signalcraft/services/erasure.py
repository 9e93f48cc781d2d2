"""Data of a person: all of it told as JSON, or replaced by what tells of nobody (GDPR, articles 15, 17 and 20).

An erasure shuts the account first, then goes through every table in small steps, and takes the account away at the
end: interrupted, it is simply asked for again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.people import check_owner_stays, check_rank
from signalcraft.domain.subject import MARK_MIN, Subject
from signalcraft.errors import Conflict, Invalid, NotFound
from signalcraft.services.care.archives import Archives
from signalcraft.services.errands import Errands
from signalcraft.services.people import By, People
from signalcraft.storage import erasure, journal, people, workspaces
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.people import Person
from signalcraft.storage.vault import Vault

log = logging.getLogger(__name__)

EXPORT_MAX: Final = 5_000
"""Rows of one table in an export."""
_SLACK: Final = re.compile(r"slack:([UW][A-Z0-9]{3,20})")


class Erased(Struct, frozen=True, kw_only=True):
    """What an erasure did. `rows`: rewritten, by table. `named`: where the configuration still names them."""

    code: str
    rows: dict[str, int]
    named: list[str]


class Erasure:
    """One instance, used on the event loop."""

    def __init__(self, db: Db, vault: Vault, people: People, now: Callable[[], int]) -> None:
        self.db = db
        self.people = people
        self.now = now
        self._key = vault.derive("erased people")
        self._one = asyncio.Lock()
        self.archives: Archives | None = None
        self._errands: Errands[Erased] = Errands(now)

    async def member(self, workspace_id: int, by: By, person_id: int) -> str:
        """Who a person of a workspace is, for `export` and `erase`. Raises NotFound, Forbidden, Conflict.

        Somebody who belongs to other workspaces too is reached from the box alone.
        """

        def look(tx: Tx) -> str:
            member = people.member(tx, workspace_id, person_id)
            if by.person_id != person_id:
                check_rank(by.role, member.role)
            if not by.box and set(people.roles(tx, person_id)) != {workspace_id}:
                raise Conflict(f"{member.person.email} belongs to other workspaces too: this is done on the box itself")
            return member.person.email

        return await self.db.read(look)

    async def export(
        self, workspace_id: int, by: By, who: str, also: Sequence[str] = (), only: int | None = None
    ) -> dict[str, Any]:
        """Everything that is kept about a person; `only`: in one workspace. Raises NotFound for nothing, Invalid."""
        told, subject = await self.db.read(lambda tx: self._told(tx, who, also, only))
        told["archive"] = await self.archives.told(subject, only) if self.archives is not None else []
        known = (told[name] for name in ("archive", "account", "invitations", "audit"))
        if not any(known) and not any(told["records"].values()):
            raise NotFound("nothing is kept about such a person")
        now_ms = self.now()
        said = {"person": subject.actor.id}
        await self.db.write(lambda tx: journal.add(tx, now_ms, workspace_id, None, "person_exported", by.actor, said))
        return told

    def _told(self, tx: Tx, who: str, also: Sequence[str], only: int | None) -> tuple[dict[str, Any], Subject]:
        person, subject = self._subject(tx, who, also)
        rows: dict[str, Any] = {}
        for place in erasure.KEPT:
            found, after = erasure.scan(tx, subject, place, only, None)
            while after is not None and len(found) < EXPORT_MAX:
                more, after = erasure.scan(tx, subject, place, only, after)
                found += more
            rows[place.table] = [{place.key: _key(one.key), **one.before} for one in found[:EXPORT_MAX]]
        told = {
            "about": {"ids": sorted(subject.ids), "marks": list(subject.marks), "names": sorted(subject.names)},
            "account": erasure.record(tx, person.id) if person is not None else {},
            "invitations": [one for mark in subject.marks for one in erasure.invited(tx, mark, only)],
            "records": rows,
            "audit": erasure.audited(tx, subject, self._workspaces(tx, only), EXPORT_MAX),
            "configuration": erasure.named(tx, subject, only),
        }
        return told, subject

    @staticmethod
    def _workspaces(tx: Tx, only: int | None) -> list[int]:
        return [one.id for one in workspaces.every(tx) if only in (None, one.id)]

    async def erase_for(
        self, seconds: float, workspace_id: int, by: By, who: str, also: Sequence[str] = (), only: int | None = None
    ) -> Erased | None:
        """`erase`, waiting no longer than that; None while it goes on, and the same call again waits for it too."""
        return await self._errands.within(
            seconds, (who, *also, only), lambda: self.erase(workspace_id, by, who, also, only)
        )

    async def erase(
        self, workspace_id: int, by: By, who: str, also: Sequence[str] = (), only: int | None = None
    ) -> Erased:
        """Nothing tells of them any more when this returns, but what `named` lists. Raises Conflict, Invalid, NotFound.

        Conflict: the last owner of a workspace cannot be erased.
        """
        async with self._one:
            now_ms = self.now()
            person, subject = await self.db.write(lambda tx: self._shut(tx, who, also, now_ms))
            rows = await self._everywhere(subject, only)
            if person is None and not any(rows.values()) and not await self._known(subject, only):
                raise NotFound("nothing is kept about such a person")
            person_id = person.id if person is not None else 0
            actor = subject.actor if person_id and by.person_id == person_id else by.actor

            def end(tx: Tx) -> list[str]:
                erasure.forget(tx, subject, person_id, now_ms)
                said = {"person": subject.actor.id, "rows": sum(rows.values())}
                journal.add(tx, now_ms, workspace_id, None, "person_erased", actor, said)
                tx.then(self.people.sessions.forget)
                return erasure.named(tx, subject, only)

            named = await self.db.write(end)
            log.info("a person was erased", extra={"person": subject.actor.id, "rows": sum(rows.values())})
            return Erased(code=subject.actor.id, rows={k: v for k, v in rows.items() if v}, named=named)

    async def _everywhere(self, subject: Subject, only: int | None) -> dict[str, int]:
        """Rows that were rewritten, by table, and in the archive, which nothing enters or leaves meanwhile."""
        if self.archives is None:
            return {place.table: await self._place(subject, place, only) for place in erasure.KEPT}
        async with self.archives.still:
            rows = {place.table: await self._place(subject, place, only) for place in erasure.KEPT}
            return rows | {"archive": await self.archives.erase(subject, only)}

    async def _place(self, subject: Subject, place: erasure.Place, only: int | None) -> int:
        after, done = None, 0
        while True:
            found, after = await self._scanned(subject, place, only, after)
            done += await self._rewritten(subject, place, [one.key for one in found]) if found else 0
            if after is None:
                return done

    async def _scanned(
        self, subject: Subject, place: erasure.Place, only: int | None, after: Any
    ) -> tuple[list[erasure.Found], Any]:
        return await self.db.read(lambda tx: erasure.scan(tx, subject, place, only, after))

    async def _rewritten(self, subject: Subject, place: erasure.Place, keys: list[Any]) -> int:
        return await self.db.write(lambda tx: erasure.erase(tx, subject, place, keys))

    def _shut(self, tx: Tx, who: str, also: Sequence[str], now_ms: int) -> tuple[Person | None, Subject]:
        person, subject = self._subject(tx, who, also)
        if person is not None:
            for workspace_id, role in people.roles(tx, person.id).items():
                if person.disabled_ms is None:
                    check_owner_stays(role, None, people.owners(tx, workspace_id))
            people.set_disabled(tx, person.id, person.disabled_ms or now_ms)
            self.people.sessions.end_in(tx, person.id, now_ms)
            self.people.signin.gate.forgive(tx, person.email)
        return person, subject

    async def _known(self, subject: Subject, only: int | None) -> bool:
        def look(tx: Tx) -> bool:
            if any(erasure.invited(tx, mark, only) for mark in subject.marks):
                return True
            return bool(erasure.audited(tx, subject, self._workspaces(tx, only), 1))

        return await self.db.read(look)

    def _code(self, who: str) -> str:
        return hashlib.blake2b(who.lower().encode(), key=self._key, digest_size=6).hexdigest()

    def _subject(self, tx: Tx, who: str, also: Sequence[str]) -> tuple[Person | None, Subject]:
        """A person by e-mail address or id, or `slack:U…`; `also`: what else they are known as, name:… among it."""
        person = people.by_email(tx, who.lower()) if "@" in who else _by_id(tx, who)
        actors, marks, names = set[str](), list[str](), set[str]()
        for one in (who, *also):
            slack = _SLACK.fullmatch(one)
            if slack is not None:
                actors.add(slack.group(1))
                marks.append(slack.group(1))
            elif one.startswith("name:") and len(one) > len("name:"):
                names.add(one.removeprefix("name:"))
            elif "@" in one and len(one) >= MARK_MIN:
                actors.add(one.lower())
                marks.append(one)
            elif person is None or one != who:
                raise Invalid(
                    "a person is an e-mail address or slack:U…, and further ones or name:… in also", path="who"
                )
        if person is not None:
            actors.add(ids.show(person.id))
            marks.insert(0, person.email)
            if not erasure.namesakes(tx, person.name, person.id):
                names.add(person.name)
        return person, Subject(actors, marks, names, self._code(person.email if person is not None else who))


def _by_id(tx: Tx, text: str) -> Person | None:
    try:
        return people.find(tx, ids.parse(text))
    except NotFound:
        return None


def _key(key: Any) -> str:
    return key.hex() if isinstance(key, bytes) else ids.show(key)
