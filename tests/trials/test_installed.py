"""The package in a fresh Debian with a booted systemd: installed, sandboxed, killed, hung, upgraded, gone back, broken,
kept in half a core and half a gigabyte, purged.

One machine for all; each test goes on where the one before ended. The package is that of `make packages`, or is in the
folder $SIGNALCRAFT_DIST; the next version is the same program under another number, with one more migration. What the
tests need of the world (Slack, the senders) runs here: the machine shares the network of the host.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from signalcraft import __version__
from signalcraft.demo.slack.standin import BOT_TOKEN, SIGNING_SECRET, SlackStandIn
from signalcraft.demo.threads import LoopThread
from tests import bodies
from tests.cli.conftest import free_port
from tests.given import GIVEN
from tests.house.tree import ROOT
from tests.main.unit import PATH, TOKEN, Senders, Tries
from tests.trials.machine import Machine
from tests.trials.nextbuild import broken_build, next_build

pytestmark = pytest.mark.trial

UNIT = "signalcraft.service"
MINUTES = 3
PACKAGES = "libssl3,libffi8,zlib1g,libbz2-1.0,liblzma5,libsqlite3-0,ca-certificates"  # as the other trial has
DROP_IN = "/etc/systemd/system/signalcraft.service.d"
TEAM = f"""
[[integrations]]
name = "sentry-prod"
kind = "sentry"
token = "{TOKEN}"
secret = "{bodies.SECRET}"
[[channels]]
name = "oncall"
kind = "slack"
bot_token = "{BOT_TOKEN}"
signing_secret = "{SIGNING_SECRET}"
channel = "C0ONCALL"
[[rules]]
name = "production"
when = {{ all = [ {{ field = "environment", operator = "equals", value = "prod" }} ] }}
channels = ["oncall"]
"""


class Packages:
    """The .deb of `make packages`, and two made of the same tree: a next version, and one that does not start."""

    def __init__(self) -> None:
        dist = Path(GIVEN["SIGNALCRAFT_DIST"] or ROOT / ".build/dist").absolute()
        if not list(dist.glob("*.deb")):
            subprocess.run(["make", "--no-print-directory", "packages"], cwd=ROOT, check=True)
        (self.own,) = dist.glob(f"*_{__version__}_*.deb")
        made = dist / "trial"
        if not made.is_dir() or made.stat().st_mtime < self.own.stat().st_mtime:
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            version = next_build(dist / "signalcraft-dir", made / "tree")
            self._pack(made / "tree", made / "next", version)
            self._pack(broken_build(made / "tree", made / "broken-tree"), made / "broken", version)
        (self.next,) = made.glob("next/*.deb")
        (self.broken,) = made.glob("broken/*.deb")
        self.version = self.next.name.split("_")[1]

    def _pack(self, tree: Path, out: Path, version: str) -> None:
        build = [sys.executable, "packaging/nfpm/build.py", str(tree), str(out), version]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)


class Installed:
    """The service in its machine, and Slack beside it."""

    def __init__(self, machine: Machine, packages: Packages, slack: SlackStandIn, port: int) -> None:
        self.machine = machine
        self.packages = packages
        self.slack = slack
        self.address = ("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}"

    def apt(self, deb: Path, *options: str, code: int | None = 0) -> str:
        self.machine.put(deb, f"/srv/{deb.name}")
        env = "DEBIAN_FRONTEND=noninteractive"
        try:
            return self.machine.sh(
                f"{env} apt-get install -y -q --no-install-recommends {' '.join(options)} /srv/{deb.name}", code=code
            )
        finally:
            self.machine.sh(f"rm /srv/{deb.name}")

    def health(self) -> int:
        try:
            return httpx.get(f"{self.url}/health", trust_env=False, timeout=10).status_code
        except httpx.HTTPError:
            return 0

    def pid(self) -> int:
        return int(self.machine.shown(UNIT, "MainPID")["MainPID"])

    def figure(self, name: str, pattern: str) -> str:
        """A figure of the service's control group, of either version of those."""
        said = self.machine.sh(f"find /sys/fs/cgroup -path '*/{UNIT}/{name}' -exec cat {{}} +")
        found = re.search(pattern, said, re.MULTILINE)
        assert found is not None, said
        return found[1]

    def version(self) -> str:
        said = self.machine.sh("signalcraft status --json", code=None)
        found = re.search(r'"version": *"([^"]+)"', said)
        return found[1] if found else said

    def receives(self, title: str) -> httpx.Response:
        """One signed webhook, of a problem of its own."""
        body = bodies.body("event_alert", title=title, issue=str(zlib.crc32(title.encode())))
        headers = bodies.signed(body, "event_alert")
        return httpx.post(f"{self.url}{PATH}", content=body, headers=headers, trust_env=False, timeout=30)

    def told(self, title: str) -> bool:
        return any(title in str(call.args) for call in self.slack.calls if call.method == "chat.postMessage")

    def until(self, true: Callable[[], bool], seconds: float) -> float:
        """Waits; how long it took."""
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > seconds:
                raise AssertionError(self.machine.sh(f"systemctl status {UNIT}; journalctl -u {UNIT} -n 40", code=None))
            time.sleep(0.1)
        return time.monotonic() - began


@pytest.fixture(scope="module")
def box() -> Iterator[Installed]:
    """A fresh Debian; the settings that the tests need lie there before the package comes."""
    machine = Machine("pkg-installed")
    machine.up("--include", PACKAGES, "--memory", "2G")
    slack = SlackStandIn(lambda: time.time_ns() // 1_000_000, channels=["oncall"], burst=0)
    try:
        with LoopThread(slack) as running:
            port = free_port()
            machine.write(
                f"{DROP_IN}/trial.conf",
                f"[Service]\nEnvironment=SIGNALCRAFT_HTTP__LISTEN=127.0.0.1:{port}\n"
                f"Environment=SIGNALCRAFT_SLACK__API_URL={running.it.base_url}",
            )
            yield Installed(machine, Packages(), running.it, port)
    finally:
        machine.down()


def quietly(tries: Tries) -> None:
    tried = sum(tries.statuses.values())
    print(f"  {tried} senders that try once: {dict(tries.statuses)}, the slowest waited {tries.slowest_s:.2f} s")
    assert tries.lost() == {}


def test_the_package_installs_a_service_that_is_active_and_sandboxed(box: Installed) -> None:
    deb = box.packages.own
    print(f"\n{deb.name}: {deb.stat().st_size / 1e6:.1f} MB")
    began = time.monotonic()
    said = box.apt(deb)
    assert "SignalCraft runs" in said, said
    took_s = time.monotonic() - began
    assert box.health() == 200
    print(f"apt-get install to /health 200: {took_s:.1f} s")
    seen = box.machine.shown(UNIT, "ActiveState", "ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    assert seen["ActiveState"] == "active"
    ready_ms = (int(seen["ActiveEnterTimestampMonotonic"]) - int(seen["ExecMainStartTimestampMonotonic"])) / 1000
    print(f"first start, with a new database, to READY=1: {ready_ms:.0f} ms")
    status = box.machine.sh(f"cat /proc/{box.pid()}/status")
    facts = dict(re.findall(r"^(\w+):\s+(\S+)", status, re.MULTILINE))
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert (int(facts["CapEff"], 16), int(facts["CapBnd"], 16)) == (0, 0)
    assert facts["Uid"] == box.machine.sh("id -u signalcraft").strip() != "0"
    found = re.search(
        r"exposure level for \S+ ([0-9.]+)", box.machine.sh(f"systemd-analyze security --no-pager {UNIT}")
    )
    assert found is not None
    print(f"systemd-analyze security, as it runs: {found[1]}")
    assert float(found[1]) <= 1.5
    assert box.machine.sh(f"systemd-analyze verify --man=no {UNIT} signalcraft-again.service").strip() == ""
    modes = box.machine.sh(
        "stat -c '%a %U:%G %n' /var/lib/signalcraft /var/lib/signalcraft/master.key /etc/signalcraft/*"
    )
    assert modes.splitlines() == [
        "700 signalcraft:signalcraft /var/lib/signalcraft",
        "600 signalcraft:signalcraft /var/lib/signalcraft/master.key",
        "640 root:signalcraft /etc/signalcraft/signalcraft.toml",
    ]
    assert box.machine.sh(f"systemctl is-enabled {UNIT}").strip() == "enabled"
    assert deb.stat().st_size < 80_000_000


def test_a_signed_webhook_reaches_slack(box: Installed) -> None:
    box.machine.write("/srv/team.toml", TEAM)
    box.machine.sh("signalcraft apply /srv/team.toml && rm /srv/team.toml")
    assert box.receives("Checkout is on fire").status_code == 202
    took_s = box.until(lambda: box.told("Checkout is on fire"), 30)
    print(f"\na signed Sentry webhook was told in Slack after {took_s * 1000:.0f} ms")
    body = bodies.body("event_alert", title="forged")
    wrong = {**bodies.signed(body, "event_alert"), "Sentry-Hook-Signature": "0" * 64}
    assert httpx.post(f"{box.url}{PATH}", content=body, headers=wrong, trust_env=False).status_code == 401


def test_what_is_killed_or_hangs_is_restarted(box: Installed) -> None:
    was = box.pid()
    box.machine.sh(f"kill -9 {was}")
    took_s = box.until(lambda: box.pid() not in (0, was) and box.health() == 200, 30)
    print(f"\nkill -9: /health 200 again after {took_s:.1f} s")
    was = box.pid()
    box.machine.sh(f"kill -STOP {was}")
    took_s = box.until(lambda: box.pid() not in (0, was) and box.health() == 200, 150)
    print(f"SIGSTOP: the watchdog has it back after {took_s:.1f} s")
    assert "watchdog" in box.machine.sh(f"journalctl -u {UNIT} -n 60")
    assert box.receives("After the hang").status_code == 202
    box.until(lambda: box.told("After the hang"), 30)


def test_upgrade_and_rollback_are_not_heard_by_who_tries_once(box: Installed) -> None:
    old, new = box.packages.own, box.packages.next
    steps: list[tuple[str, str, Callable[[], object]]] = [
        ("upgrade by apt", box.packages.version, lambda: box.apt(new)),
        ("signalcraft rollback", __version__, lambda: box.machine.sh("signalcraft rollback --yes")),
        ("upgrade once more", box.packages.version, lambda: box.apt(new, "--reinstall")),
        ("the earlier package by apt", __version__, lambda: box.apt(old, "--allow-downgrades")),
        ("systemctl restart", __version__, lambda: box.machine.sh(f"systemctl restart {UNIT}")),
    ]
    print()
    for name, version, step in steps:
        with Senders(box.address) as tries:
            time.sleep(1)
            began = time.monotonic()
            step()
            took_s = time.monotonic() - began
            box.until(lambda: box.health() == 200, 30)
            time.sleep(1)
        print(f"{name}: {took_s:.1f} s")
        quietly(tries)
        assert box.version() == version
    assert box.receives("After the way back").status_code == 202
    box.until(lambda: box.told("After the way back"), 30)


def test_an_upgrade_that_does_not_come_up_goes_back_by_itself(box: Installed) -> None:
    with Senders(box.address) as tries:
        said = box.apt(box.packages.broken, code=None)
        box.until(lambda: box.health() == 200, 60)
        time.sleep(1)
    assert "did not come up" in said, said
    print(f"\n{next(line for line in said.splitlines() if 'did not come up' in line)}")
    quietly(tries)
    assert box.version() == __version__
    box.apt(box.packages.own, "--allow-downgrades")  # now the package manager agrees
    assert box.version() == __version__


def test_three_failures_in_a_row_are_followed_by_another_round(box: Installed) -> None:
    """A settings file that is wrong for a while: it gives up after three tries, and is back when that is mended."""
    file = "/etc/signalcraft/signalcraft.toml"
    box.machine.sh(f"cp {file} /srv/kept && echo 'nonsense = 1' >> {file} && kill -9 {box.pid()}")
    box.until(lambda: box.machine.shown(UNIT, "ActiveState")["ActiveState"] == "failed", 60)
    box.machine.sh(f"cat /srv/kept > {file} && rm /srv/kept")
    took_s = box.until(lambda: box.health() == 200, 90)
    print(f"\nafter it had given up, and the cause was gone: back by itself after {took_s:.0f} s")


class Timed(Tries):
    """How long each sender waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s: list[float] = []

    def ended(self, event: str, outcome: str, seconds: float) -> None:
        super().ended(event, outcome, seconds)
        self.waited_s.append(seconds)


def test_the_journey_in_half_a_core_and_half_a_gigabyte(box: Installed) -> None:
    """100 webhooks a minute, somebody who looks, and the work of a night, under the profile of a small box."""
    sh = box.machine.sh
    sh(f"cp /usr/share/signalcraft/small.conf {DROP_IN}/ && systemctl daemon-reload && systemctl restart {UNIT}")
    seen = box.machine.shown(UNIT, "MemoryMax", "CPUQuotaPerSecUSec")
    assert seen == {"MemoryMax": str(512 << 20), "CPUQuotaPerSecUSec": "500ms"}
    box.until(lambda: box.health() == 200, 60)
    time.sleep(10)
    idle_kb = int(re.findall(r"VmRSS:\s+(\d+)", sh(f"cat /proc/{box.pid()}/status"))[0])
    key = json.loads(sh("signalcraft apikey create --name trial --scopes admin --json"))["key"]
    api = httpx.Client(base_url=box.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30)
    senders = Senders(box.address, per_second=100 / 60)
    senders.tries = tries = Timed()
    resident, asked_s = [0], []
    end = time.monotonic() + MINUTES * 60
    with api, senders:
        nights = iter(("signalcraft backup", "signalcraft drill", "signalcraft metrics rebuild"))
        while time.monotonic() < end:
            for path in ("/api/dashboard/overview?range=24h", "/api/alert-groups", "/health"):
                began = time.monotonic()
                assert api.get(path).status_code == 200, path
                asked_s.append(time.monotonic() - began)
            resident.append(int(box.figure("memory.stat", r"^(?:total_rss|anon) (\d+)")))
            if (command := next(nights, None)) is not None:
                began = time.monotonic()
                sh(command)
                print(f"  {command}, meanwhile: {time.monotonic() - began:.1f} s")
            time.sleep(5)
    peak = max(resident) / 1e6
    tries.waited_s.sort(), asked_s.sort()
    print(f"\nidle after a start: {idle_kb / 1024:.0f} MB resident; {MINUTES} minutes at 100 webhooks a minute:")
    print(f"  memory of all its processes, without page cache: at most {peak:.0f} MB of 512")
    print(f"  webhooks answered: p50 {at(tries.waited_s, 0.5):.0f} ms, p99 {at(tries.waited_s, 0.99):.0f} ms")
    print(f"  {len(asked_s)} requests of the dashboard: p50 {at(asked_s, 0.5):.0f} ms, p99 {at(asked_s, 0.99):.0f} ms")
    quietly(tries)
    assert idle_kb < 120 * 1024
    assert box.machine.shown(UNIT, "NRestarts")["NRestarts"] == "0"
    assert "oom-kill" not in sh(f"journalctl -u {UNIT} -n 200")
    assert box.receives("At the end of the journey").status_code == 202
    box.until(lambda: box.told("At the end of the journey"), 30)
    sh(f"rm {DROP_IN}/small.conf && systemctl daemon-reload && systemctl restart {UNIT}")


def at(waited_s: list[float], share: float) -> float:
    """A percentile, in ms."""
    return waited_s[min(len(waited_s) - 1, int(len(waited_s) * share))] * 1000


def test_purge_leaves_nothing(box: Installed) -> None:
    box.machine.sh("DEBIAN_FRONTEND=noninteractive apt-get remove -y -q signalcraft")
    assert box.health() == 0
    assert "master.key" in box.machine.sh("ls /var/lib/signalcraft")
    box.apt(box.packages.own)
    box.until(lambda: box.health() == 200, 30)
    assert box.receives("Installed once more").status_code == 202, "the data is the same"
    box.machine.sh("DEBIAN_FRONTEND=noninteractive apt-get purge -y -q signalcraft")
    left = box.machine.sh(
        "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /var/log/journal -prune -o"
        " -iname '*signalcraft*' -print"
    )
    assert left.strip() == ""
    box.machine.sh("getent passwd signalcraft", code=2)
    box.machine.sh("getent group signalcraft", code=2)
    assert "signalcraft" not in box.machine.sh("systemctl list-units --all --plain; systemctl list-unit-files")
    print("\npurge: no file, no user, no unit is left")
