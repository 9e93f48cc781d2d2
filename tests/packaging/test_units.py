"""The systemd units: what they say, and what systemd-analyze of this box says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from signalcraft.config.fields import fields
from signalcraft.services.care.vitals import kernel_clock
from tests.house.tree import ROOT

SYSTEMD = ROOT / "systemd"
UNIT = SYSTEMD / "signalcraft.service"
UNITS = sorted(path for path in SYSTEMD.iterdir() if path.suffix in (".service", ".socket"))


def settings(path: Path) -> dict[str, list[str]]:
    """Each setting of a unit with its values, in order."""
    found: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").replace("\\\n", " ").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def analyze(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("!! NOT CHECKED: there is no systemd-analyze on this machine (Debian's package systemd has it)")
    return subprocess.run([tool, *words], cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as they are installed, with the profile as a drop-in, and a program that is there."""
    for path in UNITS:
        text = path.read_text("utf-8").replace("/usr/bin/signalcraft", shutil.which("true") or "/bin/true")
        (tmp_path / path.name).write_text(text)
    shutil.copytree(SYSTEMD / "profiles", tmp_path / "signalcraft.service.d")
    return tmp_path


def test_systemd_finds_nothing_wrong_in_the_units(units: Path) -> None:
    done = analyze("verify", "--man=no", *(str(units / path.name) for path in UNITS), cwd=units)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_the_service_is_exposed_by_at_most_one_and_a_half(units: Path) -> None:
    done = analyze(
        "security", "--offline=true", "--no-pager", "--threshold=15", str(units / "signalcraft.service"), cwd=units
    )
    found = re.search(r"Overall exposure level for signalcraft\.service: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    print(f"systemd-analyze security --offline: {found[1]}")
    assert float(found[1]) <= 1.5
    assert done.returncode == 0, "systemd's own threshold"


def test_what_the_service_may_not_do() -> None:
    """The rating has some room; none of these is taken out for it."""
    found = settings(UNIT)
    yes = (
        *("NoNewPrivileges", "PrivateTmp", "PrivateMounts", "PrivateDevices", "PrivateUsers", "ProtectHome"),
        *("ProtectClock", "ProtectHostname", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs"),
        *("ProtectControlGroups", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality"),
        *("MemoryDenyWriteExecute", "RemoveIPC"),
    )
    assert [name for name in yes if found.get(name) != ["yes"]] == []
    exact = {
        "User": ["signalcraft"], "UMask": ["0077"], "StateDirectoryMode": ["0700"], "ProtectSystem": ["strict"],
        "CapabilityBoundingSet": [""], "AmbientCapabilities": [""], "DevicePolicy": ["closed"],
        "ProtectProc": ["invisible"], "KeyringMode": ["private"], "SystemCallArchitectures": ["native"],
        "RestrictAddressFamilies": ["AF_INET AF_INET6 AF_UNIX"], "SystemCallErrorNumber": ["EPERM"],
        "SystemCallFilter": ["@system-service", "~@privileged @resources", "setpriority"],
    }  # fmt: skip
    assert {name: found.get(name) for name in exact} == exact


def test_every_line_of_the_sandbox_has_its_reason() -> None:
    """Lines that follow each other may share one; a blank line or a heading ends it."""
    for path in (UNIT, *SYSTEMD.glob("profiles/*.conf")):
        reason = ""
        for line in path.read_text("utf-8").split("[Service]", 1)[1].split("[Install]")[0].splitlines():
            if not line or line.startswith("# --"):
                reason = ""
            elif line.startswith("#"):
                reason = line
            elif path != UNIT or line.partition("=")[0] not in ("User", "Group", "ExecStart", "SyslogIdentifier"):
                assert reason.lstrip("# "), f"{path.name}: {line} has no reason"


def test_it_is_restarted_after_a_failure_three_times_and_again_a_minute_later() -> None:
    found = settings(UNIT)
    assert (found["Type"], found["NotifyAccess"]) == (["notify"], ["main"])
    assert float(found["WatchdogSec"][0]) <= 60
    assert (found["Restart"], found["StartLimitBurst"]) == (["on-failure"], ["3"])
    assert (found["StartLimitIntervalSec"], found["LimitCORE"]) == (["60"], ["0"])
    assert found["OnFailure"] == ["signalcraft-again.service"]
    again = settings(SYSTEMD / "signalcraft-again.service")["ExecStart"]
    assert again[0] == "/bin/sleep 60"
    assert "reset-failed signalcraft.service" in again[1]
    assert "start signalcraft.service" in again[1]
    # What it listens on stays open over a restart, and the program ends within systemd's patience.
    assert int(found["FileDescriptorStoreMax"][0]) >= 2
    assert int(found["TimeoutStopSec"][0]) >= 10 + 5 + 30


def test_every_secret_may_come_as_a_credential() -> None:
    known = {field.credential for field in fields().values() if field.credential}
    assert set(settings(UNIT)["LoadCredential"]) == known


def test_the_profile_of_a_small_box() -> None:
    found = settings(SYSTEMD / "profiles/small.conf")
    assert found == {"MemoryMax": ["512M"], "MemorySwapMax": ["0"], "CPUQuota": ["50%"]}


def test_a_service_that_may_not_ask_the_kernel_goes_by_timesyncd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused:
        def __init__(self, *_: object, **__: object) -> None:
            self.adjtimex = lambda _: -1

    monkeypatch.setattr("signalcraft.services.care.vitals.ctypes.CDLL", Refused)
    assert kernel_clock(tmp_path / "none") == (None, None)
    assert kernel_clock(tmp_path) == (False, None)
    (tmp_path / "synchronized").touch()
    assert kernel_clock(tmp_path) == (True, None)
