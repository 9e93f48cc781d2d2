"""Building the house: the data directory is locked, migrated and opened; every service gets what it needs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from signalcraft import __version__, logs
from signalcraft.config import Settings
from signalcraft.errors import Fault
from signalcraft.main.systemd import Patience, Systemd
from signalcraft.postman import Postman
from signalcraft.services.accounts import Accounts
from signalcraft.services.audit import Audit
from signalcraft.services.caching import Cache
from signalcraft.services.care.alarms import Alarms
from signalcraft.services.care.archives import Archives
from signalcraft.services.care.backup.materials import Materials
from signalcraft.services.care.backup.service import Backups
from signalcraft.services.care.canary import Canary
from signalcraft.services.care.digest import Digests
from signalcraft.services.care.drill import Drill
from signalcraft.services.care.heartbeat import Heartbeat
from signalcraft.services.care.hold import Hold
from signalcraft.services.care.nightly import Nightly, Planned
from signalcraft.services.care.replica import Replication
from signalcraft.services.care.retention import KIND, Retention
from signalcraft.services.care.rollups import Rollups
from signalcraft.services.care.runs import Runs
from signalcraft.services.care.selfwatch import SelfWatch
from signalcraft.services.care.upgrades import Upgrades
from signalcraft.services.care.vitals import Vitals
from signalcraft.services.comments import Comments
from signalcraft.services.configure import Configure
from signalcraft.services.deliver import Deliver
from signalcraft.services.doors import Doors
from signalcraft.services.erasure import Erasure
from signalcraft.services.faults import Faults
from signalcraft.services.gate import Gate
from signalcraft.services.health import Health
from signalcraft.services.house import House
from signalcraft.services.ingest import Ingest
from signalcraft.services.invitations import Invitations
from signalcraft.services.keyring import Keyring
from signalcraft.services.measures import Measures
from signalcraft.services.oidc import Oidc
from signalcraft.services.overview import Overview
from signalcraft.services.passkeys import Passkeys
from signalcraft.services.passwords import Passwords
from signalcraft.services.people import People
from signalcraft.services.provider import Provider
from signalcraft.services.registry import Registry
from signalcraft.services.respond import Respond
from signalcraft.services.secondfactor import SecondFactor
from signalcraft.services.security import Security
from signalcraft.services.sessions import Sessions
from signalcraft.services.shares import Shares
from signalcraft.services.signin import SignIn
from signalcraft.services.system import System
from signalcraft.services.tickets import Tickets
from signalcraft.services.watch import Watch
from signalcraft.storage import disks, masterkey, migrate, outbox, vault, workspaces
from signalcraft.storage.archive.child import Child
from signalcraft.storage.backup.child import Runner
from signalcraft.storage.db import Db
from signalcraft.storage.lock import DataLock
from signalcraft.storage.rollups.child import Child as Counting

if TYPE_CHECKING:
    from signalcraft.postman.reports import Reports

log = logging.getLogger(__name__)

_INSECURE = (
    "people may sign in over plain HTTP (security.insecure_cookies): whoever is on the way can read their passwords"
)


def system_now() -> int:
    """The clock: milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def open_house(
    settings: Settings, *, now: Callable[[], int] = system_now, lock: DataLock | None = None
) -> tuple[House, DataLock]:
    """Everything but the loops and listeners; the writer thread runs. Close with `close_house`.

    `lock`: the data directory's, where the caller has taken it already. Raises Held (the directory is in use),
    BadSetting (a newer schema, a wrong or missing master key) having touched nothing else.
    """
    data_dir = settings.data.path
    if lock is None:
        lock = DataLock(data_dir)
        lock.take("serve")
    try:
        return _open(settings, data_dir, now), lock
    except BaseException:
        lock.release()
        raise


def _open(settings: Settings, data_dir: Path, now: Callable[[], int]) -> House:
    disks.refuse_network(data_dir)
    _back_as_wanted(data_dir, now)
    db = Db(data_dir / "signalcraft.db", queue_max=settings.limits.queue_max)
    try:
        keys = _keys(settings, data_dir, db) if migrate.version(db) else None  # a wrong key leaves the file untouched
        _bring_up(settings, data_dir, now, db, keys)
        keys = keys or _keys(settings, data_dir, db)
        trouble = masterkey.settle(keys, settings, data_dir, db, now())
        masterkey.keep_private(data_dir)
        db.audit_key = keys.derive("audit log")
        with db.direct() as tx:
            workspaces.ensure_default(tx, now())
            released = outbox.release_leases(tx)
        if released:
            log.info("deliveries of the earlier run are owed again", extra={"deliveries": released})
        db.start()
        registry = Registry(settings, keys)
        with db.reading() as reader:
            registry.reload(reader)
    except BaseException:
        with suppress(Fault, RuntimeError):
            db.stop()
        raise
    house = _joined(_wire(settings, data_dir, now, db, keys, registry))
    if trouble:
        house.warnings.append(trouble)
        log.warning(trouble)
    return house


def _back_as_wanted(data_dir: Path, now: Callable[[], int]) -> None:
    """An upgrade was undone, and this older program is the first to run on the newer database (`rollback`)."""
    from signalcraft.storage import before

    if not (data_dir / before.FOLDER / before.WANTED).exists():
        return
    from signalcraft.storage import returning

    with Patience(Systemd()) as patience:
        patience.say("going back to the schema of this version")
        done = returning.as_wanted(data_dir, migrate.newest(), program=__version__, now_ms=now())
    if done is not None:
        went = {"from": done.plan.schema, "to": done.plan.kept.schema, "newer": done.newer}
        log.warning("went back to the schema from before an upgrade", extra=went)


def _bring_up(settings: Settings, data_dir: Path, now: Callable[[], int], db: Db, keys: vault.Vault | None) -> None:
    """The schema becomes this program's. Nothing is done, and nothing more is loaded, where it is that already."""
    if migrate.version(db) == migrate.newest():
        return
    from signalcraft.storage import migrating

    def works(migrated: Db) -> None:
        with migrated.reading() as reader:
            Registry(settings, keys or _keys(settings, data_dir, migrated)).reload(reader)

    with Patience(Systemd()) as patience:

        def say(text: str) -> None:
            patience.say(text)
            log.info(text)

        way = migrating.Way(data_dir=data_dir, program=__version__, now=now, say=say, works=works)
        for name in migrating.bring_up(db, way):
            log.info("migration applied", extra={"migration": name})


def _keys(settings: Settings, data_dir: Path, db: Db) -> vault.Vault:
    keys = masterkey.open_vault(settings, data_dir, db)
    keys.check(db)
    return keys


def _wire(
    settings: Settings, data_dir: Path, now: Callable[[], int], db: Db, keys: vault.Vault, registry: Registry
) -> House:
    postman = Postman(allow=settings.outbound.allow, ca_file=settings.outbound.ca_file)
    ingest, deliver = Ingest(settings, db, registry, now), Deliver(settings, db, registry, keys, postman, now)
    signin, people = _signing_in(settings, db, keys, now)
    doors, tickets, measures = Doors(settings, people.base), Tickets(now), Measures()
    recorded, alarms = Runs(db, now), Alarms(settings, db, ingest, now)
    health, overview = Health(settings, db, registry, deliver, ingest, now), Overview(db, deliver, now)
    canary, vitals = Canary(settings, db, ingest, measures.canary, now), Vitals(settings, data_dir, now)
    retention = Retention(settings, db, data_dir, Audit(settings, db, now), alarms, now, Child)
    nightly = Nightly(db, recorded, settings.workspace.timezone, now)
    materials, hold = Materials(settings, db, keys, data_dir, now), Hold(db, registry, deliver, alarms, now)
    return House(
        settings=settings,
        data_dir=data_dir,
        now=now,
        db=db,
        vault=keys,
        registry=registry,
        postman=postman,
        ingest=ingest,
        respond=Respond(settings, db, registry, now),
        comments=Comments(db, now),
        shares=Shares(people.base, db, keys, now),
        deliver=deliver,
        watch=Watch(settings, db, registry, ingest, now),
        configure=Configure(settings, db, registry, keys, now),
        accounts=Accounts(db, now),
        keyring=Keyring(settings, db, keys, data_dir, now),
        erasure=Erasure(db, keys, people, now),
        signin=signin,
        people=people,
        invitations=Invitations(db, people, now),
        oidc=Oidc(settings, db, people, Provider(settings, postman, now), doors, tickets, now),
        passkeys=Passkeys(db, signin, doors, tickets, now),
        health=health,
        audit=Audit(settings, db, now),
        security=Security(settings, db, now),
        faults=Faults(db, now, _reports(settings)),
        overview=overview,
        cache=Cache(db, now),
        system=System(db, data_dir, now),
        runs=recorded,
        alarms=alarms,
        upgrades=Upgrades(db, data_dir, __version__, alarms, ingest, now),
        nightly=nightly,
        backups=Backups(settings, db, materials, data_dir, recorded, alarms, nightly, Runner(), now),
        replica=Replication(settings.replica, db, alarms, lambda: hold.held, now),
        retention=retention,
        archives=Archives(retention, db, now),
        rollups=Rollups(db, Counting(db.path), recorded, alarms, now),
        hold=hold,
        drill=Drill(settings, db, keys, data_dir, recorded, alarms, now),
        measures=measures,
        canary=canary,
        selfwatch=SelfWatch(settings, db, registry, deliver, overview, health, measures, canary, alarms, vitals, now),
        digests=Digests(settings, db, registry, ingest, overview, alarms, now),
        heartbeat=Heartbeat(settings, db, deliver, canary, postman, lambda: hold.held, now),
        started_ms=now(),
    )


def _signing_in(settings: Settings, db: Db, keys: vault.Vault, now: Callable[[], int]) -> tuple[SignIn, People]:
    sessions = Sessions(settings, db, now)
    second = SecondFactor(db, keys, sessions, now)
    signin = SignIn(db, Gate(settings, db, keys, now), Passwords(), sessions, second, now)
    return signin, People(settings, db, signin, now)


def _joined(house: House) -> House:
    """What each part tells of itself to health, metrics and the nights, and who asks whom."""
    for name, health in (
        ("errors", house.faults.health),
        ("keys", house.keyring.health),
        ("api_keys", house.accounts.health),
        ("hold", house.hold.health),
        ("replica", house.replica.health),
        ("backup", house.backups.health),
    ):
        house.health.more[name] = health
    for name, figures in (
        ("cache", house.cache.figures),
        ("replica", house.replica.figures),
        ("backup", house.backups.figures),
    ):
        house.figures[name] = figures
    house.faults.listen()
    _numbers(house)
    _drills(house)
    for planned in house.digests.planned():
        house.nightly.add(planned)
    _nights(house)
    house.deliver.held = house.watch.held = lambda: house.hold.held
    house.health.box, house.ingest.told = house.selfwatch.components, house.measures.routed
    house.deliver.told, house.deliver.replied = house.measures.told, house.selfwatch.replied
    house.db.on_commit = house.deliver.wake
    if house.settings.security.insecure_cookies:
        house.warnings.append(_INSECURE)
        log.warning(_INSECURE)
    return house


def _numbers(house: House) -> None:
    """The long-range numbers: shown, and counted and packed each night."""
    house.health.more["rollups"] = house.rollups.health
    house.figures["rollups"] = house.rollups.figures
    what = "Long-range numbers: counted, packed, old ones forgotten"
    house.nightly.add(Planned(kind="rollup", what=what, at="02:40", do=house.rollups.nightly))


def _nights(house: House) -> None:
    """What is done once a day: what is old goes, with everything else that has run out."""
    old = house.retention
    old.prunes |= {
        "statements": lambda: house.watch.prune(house.now()),
        "sessions": lambda: house.signin.prune(house.now()),
        "audit_ends": lambda: house.audit.tidy(purge=False),
        "security": house.security.tidy,
        "own_errors": house.faults.tidy,
    }
    what = "Archives and deletes what is older than it is kept: alert groups, messages, sessions, logs."
    house.nightly.add(Planned(kind=KIND, what=what, at=house.settings.retention.at, do=old.night))
    house.system.nightly = house.nightly
    house.figures["retention"] = old.figures
    house.erasure.archives = house.archives


def _drills(house: House) -> None:
    """The restore drill of each night."""
    drill = house.drill
    drill.next_ms = lambda: house.nightly.next_ms(drill.planned, house.now())
    if house.settings.drill.schedule:
        house.nightly.add(drill.planned)
    house.health.more["drill"] = drill.health
    house.figures["drill"] = drill.figures


def _reports(settings: Settings) -> Reports | None:
    dsn = settings.errors.sentry_dsn.reveal()
    if not dsn:
        return None
    from signalcraft.postman.reports import Reports

    return Reports(dsn, __version__, settings.profile, settings.outbound.ca_file)


async def close_house(house: House, lock: DataLock) -> bool:
    """Ends what `open_house` began: outbound connections, the writer, the lock. False: not drained in time."""
    await house.backups.end()
    await house.rollups.end()
    await house.postman.close()
    house.faults.close()
    drained = house.db.stop()
    copied = await house.replica.end()
    lock.release()
    if not drained:
        log.error("the writer was not drained in time", extra={"queued": house.db.queued})
    logs.flush()
    return drained and copied
