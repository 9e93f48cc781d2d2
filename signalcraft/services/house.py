"""The house: everything the edges need, built once by main."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signalcraft.config import Settings
    from signalcraft.postman import Postman
    from signalcraft.services.accounts import Accounts
    from signalcraft.services.audit import Audit
    from signalcraft.services.caching import Cache
    from signalcraft.services.care.alarms import Alarms
    from signalcraft.services.care.archives import Archives
    from signalcraft.services.care.backup.service import Backups
    from signalcraft.services.care.canary import Canary
    from signalcraft.services.care.digest import Digests
    from signalcraft.services.care.drill import Drill
    from signalcraft.services.care.heartbeat import Heartbeat
    from signalcraft.services.care.hold import Hold
    from signalcraft.services.care.nightly import Nightly
    from signalcraft.services.care.replica import Replication
    from signalcraft.services.care.retention import Retention
    from signalcraft.services.care.rollups import Rollups
    from signalcraft.services.care.runs import Runs
    from signalcraft.services.care.selfwatch import SelfWatch
    from signalcraft.services.care.upgrades import Upgrades
    from signalcraft.services.comments import Comments
    from signalcraft.services.configure import Configure
    from signalcraft.services.deliver import Deliver
    from signalcraft.services.erasure import Erasure
    from signalcraft.services.faults import Faults
    from signalcraft.services.figures import Figure
    from signalcraft.services.health import Health
    from signalcraft.services.ingest import Ingest
    from signalcraft.services.invitations import Invitations
    from signalcraft.services.keyring import Keyring
    from signalcraft.services.measures import Measures
    from signalcraft.services.oidc import Oidc
    from signalcraft.services.overview import Overview
    from signalcraft.services.passkeys import Passkeys
    from signalcraft.services.people import People
    from signalcraft.services.registry import Registry
    from signalcraft.services.respond import Respond
    from signalcraft.services.security import Security
    from signalcraft.services.shares import Shares
    from signalcraft.services.signin import SignIn
    from signalcraft.services.system import System
    from signalcraft.services.watch import Watch
    from signalcraft.storage.db import Db
    from signalcraft.storage.vault import Vault


@dataclass(kw_only=True)
class House:
    """What an edge may use. `now` is the one clock, in ms; `leaving` turns true when who only waits is let go, and
    `stopping` when no request is taken in any more.
    """

    settings: Settings
    data_dir: Path
    now: Callable[[], int]
    db: Db
    vault: Vault
    registry: Registry
    postman: Postman
    ingest: Ingest
    respond: Respond
    comments: Comments
    shares: Shares
    deliver: Deliver
    watch: Watch
    configure: Configure
    accounts: Accounts
    keyring: Keyring
    erasure: Erasure
    signin: SignIn
    people: People
    invitations: Invitations
    oidc: Oidc
    passkeys: Passkeys
    health: Health
    audit: Audit
    security: Security
    faults: Faults
    overview: Overview
    cache: Cache
    system: System
    runs: Runs
    alarms: Alarms
    nightly: Nightly
    backups: Backups
    upgrades: Upgrades
    replica: Replication
    retention: Retention
    archives: Archives
    rollups: Rollups
    hold: Hold
    drill: Drill
    measures: Measures
    canary: Canary
    selfwatch: SelfWatch
    heartbeat: Heartbeat
    digests: Digests
    figures: dict[str, Callable[[], list[Figure]]] = field(default_factory=dict)
    started_ms: int = 0
    ready: bool = False
    leaving: bool = False
    stopping: bool = False
    warnings: list[str] = field(default_factory=list)
