"""Restarts, an upgrade, long and failing migrations, a way back: 50 senders a second that try once hear of none."""

from __future__ import annotations

import signal
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.storage import migrate, returning
from signalcraft.storage.installed import Place
from signalcraft.storage.rehearsal import level_of
from tests.cli.conftest import Box, free_port
from tests.cli.prefix import BAD, GOOD, release
from tests.main.pairs import pair
from tests.main.test_handover import NO_LIMIT, address
from tests.main.unit import Manager, Senders, Tries, integration, stored

ROUNDS = 10
MANY = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 6000000) select x from n"
LONG = (9001, "next", f"create table after_it (id integer primary key) strict; insert into after_it {MANY};")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Manager]:
    box = Box(tmp_path)
    integration(box)
    it = Manager(box, {"SIGNALCRAFT_HTTP__LISTEN": f"127.0.0.1:{free_port()}", **NO_LIMIT})
    yield it
    it.close()
    box.close()


def versions(service: Manager) -> Place:
    """1.0.0 in use; 1.1.0 with a migration, 1.2.0 with a long one, 1.3.0 with one that fails."""
    place = Place(service.box.root / "prefix")
    for n, (version, step) in enumerate((("1.0.0", None), ("1.1.0", GOOD), ("1.2.0", LONG), ("1.3.0", BAD))):
        draft = place.incoming()
        draft.write_bytes(release(service.box.root / "releases", version, *([step] if step else [])).read_bytes())
        place.add(draft, version, "00", n)
    place.switch("1.0.0")
    service.program = [str(place.prefix / "current" / "signalcraft")]
    return place


def shown(what: str, tries: Tries, took: list[float]) -> None:
    took.sort()
    print(
        f"{what:44} {len(took):3} times, {sum(tries.statuses.values()):6} requests: {dict(tries.statuses)},"
        f" slowest {tries.slowest_s:.2f} s, ended to ready: median {took[len(took) // 2]:.2f} s, most {took[-1]:.2f} s"
    )


def renewed(service: Manager) -> float:
    """What `systemctl restart` does; the seconds from SIGTERM to READY=1."""
    began = time.monotonic()
    assert service.stop() == 0, service.log.read_text()[-2000:]
    service.start()
    return time.monotonic() - began


def there_once(service: Manager, *all_tries: Tries) -> None:
    there = stored(service.box)
    accepted = [event for tries in all_tries for event in tries.accepted]
    assert {event: there[event] for event in accepted if there[event] != 1} == {}
    print(f"accepted {len(accepted)}, each of them stored once")


def ten_times(service: Manager, what: str, before: Callable[[], None], **asking: Any) -> None:
    """Restarts while senders try once each; `before` happens before each of them. None is lost, each is stored once."""
    print()
    service.start()
    took = []
    with Senders(address(service), **asking) as tries:
        for _ in range(ROUNDS):
            time.sleep(1)
            before()
            took.append(renewed(service))
        time.sleep(1)
    shown(what, tries, took)
    assert service.stop() == 0
    assert tries.lost() == {}
    there_once(service, tries)


@pytest.mark.trial
def test_ten_restarts_at_fifty_a_second(service: Manager) -> None:
    ten_times(service, "restart", lambda: None)


@pytest.mark.trial
def test_ten_restarts_and_renewals_over_tls(service: Manager) -> None:
    """A renewed certificate shortly before each restart: two servers have connections when the end is asked for."""
    files = pair(service.box.root / "tls")
    trusted = ssl.create_default_context(cafile=files["http.tls_certificate"])
    trusted.check_hostname = False
    service.env |= {
        "SIGNALCRAFT_HTTP__TLS_CERTIFICATE": files["http.tls_certificate"],
        "SIGNALCRAFT_HTTP__TLS_KEY": files["http.tls_key"],
    }

    def renews() -> None:
        service.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
        time.sleep(1)

    ten_times(service, "restart, its certificate just renewed, TLS", renews, tls=trusted)


@pytest.mark.trial
def test_upgrades_and_ways_back_at_fifty_a_second(service: Manager) -> None:
    print()
    place, database = versions(service), service.box.data / "signalcraft.db"
    service.start()
    old = level_of(database)
    every: list[Tries] = []
    for what, version, level in (
        ("upgrade with a migration", "1.1.0", 9001),
        ("way back, what was written taken along", "1.0.0", old),
        ("upgrade with a long migration", "1.2.0", 9001),
        ("way back from there", "1.0.0", old),
    ):
        with Senders(address(service)) as tries:
            time.sleep(1)
            if level == old:
                asked = returning.Wanted(to=old, carry=True, program=place.current(), at_ms=1)
                returning.want(service.box.data, asked)
            place.switch(version)
            took = [renewed(service)]
            time.sleep(1)
        shown(what, tries, took)
        assert tries.lost() == {}
        assert level_of(database) == level
        every.append(tries)
    with Senders(address(service)) as tries:
        time.sleep(1)
        place.switch("1.3.0")
        began = time.monotonic()
        assert service.stop() == 0
        assert service.start(wait=False).wait(120) != 0, "its migration cannot be applied"
        place.switch("1.0.0")
        service.start()
        took = [time.monotonic() - began]
        time.sleep(1)
    shown("upgrade that fails, and return", tries, took)
    assert tries.lost() == {}
    assert level_of(database) == old == migrate.newest()
    assert service.stop() == 0
    there_once(service, *every, tries)
