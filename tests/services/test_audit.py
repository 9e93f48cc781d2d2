"""The audit chain: what goes in, what finds out a change, and what may leave without breaking it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain.group import SYSTEM, Actor
from signalcraft.services.audit import Audit, Verdict, shown, verify
from signalcraft.storage import audit, journal
from signalcraft.storage.db import Tx
from signalcraft.storage.origin import Origin, present
from tests.services.desk import SAM, Desk

DAY_MS = 86_400_000
KEY = bytes(range(32))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as it:
        it.db.audit_key = KEY
        for reader in it.db._readers:
            reader.audit_key = KEY
        yield it


def write(desk: Desk, work: Any) -> Any:
    return desk.db.call(work)


def say(desk: Desk, verb: str, actor: Actor = SAM, group_id: int | None = None, **data: Any) -> None:
    write(desk, lambda tx: journal.add(tx, desk.now_ms, 1, group_id, verb, actor, data))


def rows(desk: Desk) -> list[audit.Stored]:
    return desk.look(lambda tx: list(audit.every(tx, 1)))


def verdict(desk: Desk, head: str = "") -> Verdict:
    return asyncio.run(Audit(Settings(), desk.db, lambda: desk.now_ms).verify(1, head))


def tampered(desk: Desk, *statements: str) -> Verdict:
    """What a verification says after somebody wrote into the file, past our program and its triggers."""
    other = apsw.Connection(str(desk.db.path))
    other.set_busy_timeout(5000)
    for trigger in ("audit_kept", "audit_unchanged"):
        other.execute(f"drop trigger {trigger}").fetchall()
    for statement in statements:
        other.execute(statement).fetchall()
    other.close()
    return verdict(desk)


@pytest.fixture
def ten(desk: Desk) -> Desk:
    for number in range(1, 11):
        say(desk, "key_created", name=f"key {number}", id=f"k{number}")
    assert verdict(desk).holds
    return desk


# -- what goes in -----------------------------------------------------------------------------------------------------


def test_what_people_do_is_a_row_and_what_alerts_do_is_none(desk: Desk) -> None:
    group = 77 << 21
    for verb in ("opened", "rose", "told", "episode", "resolved", "acknowledged"):
        say(desk, verb, Actor("source", "sentry", "Sentry"), group)
    for verb in ("opened", "told", "reopened", "acknowledged", "escalated"):
        say(desk, verb, SYSTEM, group)
    say(desk, "told", SYSTEM)
    assert rows(desk) == []
    for kind in ("user", "api_key", "slack", "email", "phone"):
        say(desk, "acknowledged", Actor(kind, "x", "X"), group)
    say(desk, "resolved", SYSTEM, group, why="closed by itself")
    say(desk, "clock_stepped", SYSTEM, by_ms=1)
    found = rows(desk)
    assert [row.verb for row in found] == [*["acknowledged"] * 5, "resolved", "clock_stepped"]
    kinds = [msgspec.json.decode(row.who or "")["kind"] for row in found]
    assert kinds == ["user", "api_key", "slack", "email", "phone", "system", "system"]
    assert msgspec.json.decode(found[0].what or "")["id"] == ids.show(group)


def test_what_one_request_does_is_one_row_and_where_it_came_from_stands_in_it(desk: Desk) -> None:
    origin = Origin("192.0.2.7", "curl/8", "req-1")

    def work(tx: Tx) -> None:
        journal.add(tx, desk.now_ms, 1, None, "channel.created", SAM, {"id": "c1"})
        journal.add(tx, desk.now_ms, 1, None, "config.applied", SAM, {"id": "w"})
        journal.add(tx, desk.now_ms, 1, None, "account_locked", SYSTEM, {"person": "p"})

    token = present.set(origin)
    try:
        write(desk, work)
    finally:
        present.reset(token)
    applied, locked = rows(desk)
    assert (applied.verb, locked.verb) == ("config.applied", "account_locked")
    assert [one["verb"] for one in msgspec.json.decode(applied.what or "")["also"]] == ["channel.created"]
    who = msgspec.json.decode(applied.who or "")
    assert (who["address"], who["user_agent"], who["request_id"]) == ("192.0.2.7", "curl/8", "req-1")
    assert origin.rows == 1
    write(desk, work)  # nobody asked: each is a fact of its own
    assert len(rows(desk)) == 5


def test_what_is_rolled_back_leaves_no_row(desk: Desk) -> None:
    desk.apply('[[channels]]\nname = "a"\nkind = "webhook"\nurl = "https://example.com/x"\n', rehearse=True)
    assert rows(desk) == []

    def fails(tx: Tx) -> None:
        journal.add(tx, desk.now_ms, 1, None, "key_created", SAM)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write(desk, fails)
    assert rows(desk) == []
    desk.apply('[[channels]]\nname = "a"\nkind = "webhook"\nurl = "https://example.com/x"\n')
    assert [row.verb for row in rows(desk)] == ["channel.created", "config.applied"]


def test_before_and_after_stand_in_the_row_and_secrets_do_not(desk: Desk) -> None:
    from signalcraft.services.configure import channels
    from signalcraft.storage import channels as channel_rows

    row, _ = desk.channel(bot_token="xoxb-canary-canary")
    held = desk.look(lambda tx: channel_rows.get(tx, 1, row.id))
    draft = channels.Draft(config={"channel": "C0NEW", "bot_token": "xoxb-other-canary"})
    desk.change(lambda edit: channels.update(edit, held, draft, whole=False))
    data = msgspec.json.decode(rows(desk)[-1].what or "")["data"]
    assert (data["before"]["channel"], data["after"]["channel"]) == ("C0ONCALL", "C0NEW")
    assert "bot_token: changed" in data["changes"]
    assert "canary" not in "".join(f"{row.who}{row.what}" for row in rows(desk))


# -- what finds out a change ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "broken", "why"),
    [
        ("update audit set what = replace(what, 'key 4', 'key X') where seq = 4", 4, "what is not as it was written"),
        ("update audit set who = replace(who, 'Sam', 'Kim') where seq = 5", 5, "who is not as it was written"),
        ("update audit set verb = 'key_revoked' where seq = 6", 6, "does not follow"),
        ("update audit set at_ms = at_ms + 1 where seq = 7", 7, "does not follow"),
        ("update audit set what = null where seq = 3", 3, "taken away"),
        ("update audit set who = null, who_salt = zeroblob(16) where seq = 3", 3, "taken away"),
        ("delete from audit where seq = 8", 8, "gone"),
        ("delete from audit where seq = 1", 1, "gone"),
        ("delete from audit where seq > 7", 8, "gone, and every row behind it up to 10"),
        ("delete from audit", 1, "gone, and every row"),
        ("update audit_head set seq = 9, chain = (select chain from audit where seq = 9)", 10, "without the key"),
        ("delete from audit_head", 1, "head are gone"),
    ],
)
def test_a_change_past_the_program_is_found_and_its_row_named(ten: Desk, statement: str, broken: int, why: str) -> None:
    found = tampered(ten, statement)
    assert (found.holds, found.broken_seq) == (False, broken), found
    assert why in found.why


def test_a_tail_that_is_cut_off_together_with_its_head_is_found(ten: Desk) -> None:
    cut = "update audit_head set seq = 7, chain = (select chain from audit where seq = 7)"
    found = tampered(ten, "delete from audit where seq > 7", cut)
    assert (found.holds, found.broken_seq) == (False, 7)
    assert "without the key" in found.why


def test_a_head_kept_elsewhere_finds_out_an_older_copy_of_the_log(ten: Desk) -> None:
    head = verdict(ten).head
    say(ten, "key_created", id="later")
    assert verdict(ten, head).holds
    other = f"7:{'ab' * 32}"
    assert (verdict(ten, other).broken_seq, verdict(ten, f"99:{'ab' * 32}").broken_seq) == (7, 12)
    with pytest.raises(Exception, match="64 hexadecimal"):
        verdict(ten, "7:xyz")


def test_a_row_chained_anew_by_somebody_without_the_key_is_named(ten: Desk) -> None:
    """Whoever can write the file can also compute SHA-256: the seal of each row cannot be computed."""
    other = apsw.Connection(str(ten.db.path))
    other.set_busy_timeout(5000)
    other.execute("drop trigger audit_unchanged").fetchall()
    before = b""
    for row in rows(ten):
        what = (row.what or "").replace("key 4", "key X")
        digest = audit.digest(row.what_salt, what)
        chain = audit.chained(before or audit.NOTHING, 1, row.seq, row.at_ms, row.verb, row.who_digest, digest)
        other.execute(
            "update audit set what = ?, what_digest = ?, chain = ? where seq = ?", (what, digest, chain, row.seq)
        ).fetchall()
        before = chain
    other.close()
    found = verdict(ten)
    assert (found.holds, found.broken_seq) == (False, 4)
    assert "without the key" in found.why


@pytest.mark.parametrize(
    "statement",
    [
        "update audit set what = '{}' where seq = 3",
        "update audit set verb = 'x'",
        "delete from audit where seq = 10",
        "delete from audit where seq = 1",
    ],
)
def test_the_database_itself_refuses_to_change_the_log(ten: Desk, statement: str) -> None:
    with pytest.raises(apsw.ConstraintError, match="only added to"):
        write(ten, lambda tx: tx.run(statement))


# -- what may leave ---------------------------------------------------------------------------------------------------


def test_a_person_is_forgotten_and_the_chain_holds(desk: Desk) -> None:
    person = 123 << 21
    pat = Actor("user", ids.show(person), "Pat Doe")
    origin = Origin("192.0.2.66", "Pat's browser", "req-2")
    token = present.set(origin)
    say(desk, "person_added", SAM, person=ids.show(person), email="pat@example.com", role="member")
    say(desk, "sign_in_failed", SYSTEM, person=ids.show(person), address="192.0.2.66")
    say(desk, "key_created", pat, id="k1", name="deploys")
    say(desk, "assigned", SAM, 5 << 21, **{"from": "", "to": "Pat Doe"})
    present.reset(token)
    say(desk, "key_created", SAM, id="k2", name="other")
    touched = write(desk, lambda tx: audit.forget(tx, desk.now_ms, person, "Pat@Example.com", "Pat Doe"))
    assert touched == 4
    added, failed, did, assigned, other = rows(desk)
    assert (added.who is None, added.what is None) == (False, True)  # Sam did it: that stays
    assert (failed.who, failed.what) == (None, None)
    assert did.who is None
    assert "deploys" in (did.what or "")
    assert (assigned.who is None, assigned.what is None) == (False, True)
    assert other.who is not None
    said = verdict(desk)
    assert (said.holds, said.erased, said.rows) == (True, 4, 5)
    left = desk.look(lambda tx: tx.all("select * from audit"))
    for gone in ("pat@", "Pat Doe", "Pat's browser"):
        assert gone not in str(left).replace(str(added.who), "")
    again = write(desk, lambda tx: audit.forget(tx, desk.now_ms, person, "pat@example.com", "Pat Doe"))
    assert again == 0


@pytest.mark.parametrize(("age_days", "kept"), [(364, True), (366, False)])
def test_the_yearly_purge_leaves_a_chain_that_holds(ten: Desk, age_days: int, kept: bool) -> None:
    head = verdict(ten).head
    ten.now_ms += age_days * DAY_MS
    say(ten, "key_created", id="new")
    care = Audit(Settings(), ten.db, lambda: ten.now_ms)
    asyncio.run(care.tidy())
    found = rows(ten)
    assert (found[0].seq == 1) is kept
    assert [row.verb for row in found if row.verb == "audit.purged"] == ([] if kept else ["audit.purged"])
    assert len(ten.journal()) == (11 if kept else 1)
    said = verdict(ten, head if kept else "")
    assert (said.holds, said.rows) == (True, 11 if kept else 2)
    before = ten.look(lambda tx: audit.head_of(tx, 1))
    assert before is not None
    assert said.head == shown(before)
    if not kept:
        assert tampered(ten, "delete from audit where seq = 11").broken_seq == 11


def test_where_the_chain_ends_is_told_to_the_log_each_night(ten: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        asyncio.run(Audit(Settings(), ten.db, lambda: ten.now_ms).tidy())
    told = [vars(record)["head"] for record in caplog.records if "ends here" in record.message]
    assert told == [verdict(ten).head]


def test_two_workspaces_have_a_chain_each(desk: Desk) -> None:
    write(desk, lambda tx: tx.run("insert into workspace (id, name, created_ms) values (2, 'other', 0)"))
    for workspace_id in (1, 2, 2):
        write(desk, lambda tx, number=workspace_id: journal.add(tx, 5, number, None, "key_created", SAM))
    assert [desk.look(lambda tx, n=n: verify(tx, n)).rows for n in (1, 2)] == [1, 2]
    with pytest.raises(apsw.ConstraintError):
        write(desk, lambda tx: tx.run("update audit set verb = 'x' where workspace_id = 2"))
