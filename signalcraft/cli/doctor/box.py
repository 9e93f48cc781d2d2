"""The box: whose the files are, its disk, its clock, its ports, its systemd service."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from signalcraft.cli.doctor.finding import Finding, Running, fault, ok, warning
from signalcraft.config import Loaded, Settings
from signalcraft.config.secret import MASK
from signalcraft.errors import BadSetting

_FULL_BYTES: Final = 64 << 20
_INODES_PERCENT: Final = 1.0
_AHEAD_MS: Final = 60_000
_PROPERTIES: Final = "LoadState,ActiveState,Result,UnitFileState,NRestarts,NeedDaemonReload"


def _owner(path: Path) -> int:
    return path.lstat().st_uid


def data_directory(settings: Settings, uid: int | None = None, owner: Callable[[Path], int] = _owner) -> Finding:
    """Whether whoever serves can use it, and nobody else can."""
    from signalcraft.storage import disks

    name, folder = "data directory", settings.data.path
    me = os.geteuid() if uid is None else uid
    if not folder.is_dir():
        above = next(one for one in folder.parents if one.exists())
        if not os.access(above, os.W_OK):
            return fault(name, f"{folder} is not there, and {_user(me)} cannot make it: make it, or set data.dir")
        return warning(name, f"{folder} is not there yet: signalcraft serve makes it; is it the right --data-dir?")
    try:
        disks.refuse_network(folder)
    except BadSetting as problem:
        return fault(name, problem.detail)
    seen = folder.stat()
    if me not in (0, seen.st_uid):
        return fault(name, f"{folder} belongs to {_user(seen.st_uid)}, and this is {_user(me)}: run it as its owner")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return fault(name, f"{folder} cannot be written: mount it read-write, and give its owner rwx (chmod 700)")
    foreign = [path for path in folder.rglob("*") if _is_foreign(path, seen.st_uid, owner)]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        whose = _user(seen.st_uid)
        return fault(name, f"{foreign[0]}{more} is not {whose}'s, who serves: chown -R {whose} {folder}")
    if stat.S_IMODE(seen.st_mode) & 0o077:
        return warning(name, f"{folder} is open to others (mode {_mode(seen)}): chmod 700 {folder}")
    return ok(name, f"{folder} is {_user(seen.st_uid)}'s alone")


def _is_foreign(path: Path, uid: int, owner: Callable[[Path], int]) -> bool:
    try:
        return owner(path) != uid
    except OSError:
        return False  # gone meanwhile


def settings_file(loaded: Loaded) -> Finding:
    """Whether secrets in it are readable by everybody."""
    name, file = "settings", loaded.file
    if file is None:
        return ok(name, "no settings file; every setting can be used")
    secret = [path for path, value, origin in loaded.table() if value == f'"{MASK}"' and origin == f"file {file}"]
    mode = file.stat()
    if secret and stat.S_IMODE(mode.st_mode) & 0o007:
        return fault(name, f"{file} holds {secret[0]} and can be read by everybody ({_mode(mode)}): chmod 640 {file}")
    return ok(name, f"{file} can be used")


def disk(settings: Settings, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage) -> Finding:
    """Room where data and backups are written."""
    name, data = "disk", settings.data.path
    folders = [folder for folder in (data, settings.backup.folder(data)) if folder.is_dir()]
    said = []
    for folder in dict.fromkeys(folders or [next(one for one in data.parents if one.exists())]):
        total, _, free = usage(folder)
        percent = 100 * free / max(total, 1)
        room = f"{free >> 20} MB of {total >> 20} MB are free on the disk of {folder} ({percent:.1f} %)"
        if free < _FULL_BYTES:
            return fault(name, f"{room}: alerts are about to be refused; make room, or give it a larger disk")
        if percent < settings.monitoring.disk_free_percent:
            return warning(name, f"{room}, less than monitoring.disk_free_percent: make room")
        inodes = os.statvfs(folder)
        if inodes.f_files and 100 * inodes.f_favail / inodes.f_files < _INODES_PERCENT:
            return fault(name, f"the file system of {folder} has hardly room for another file (inodes): remove files")
        said.append(room)
    return ok(name, said[0])


def clock(
    settings: Settings, now_ms: int, latest_ms: int, skew_s: float | None,
    kernel: tuple[bool | None, float | None],
) -> Finding:  # fmt: skip
    """Whether the time is right. `latest_ms`: the latest the box ever wrote down; `skew_s`: how far ahead Slack is."""
    name, most_s = "clock", settings.monitoring.clock_seconds
    set_it = "set the time, and let a time service keep it (timedatectl set-ntp true)"
    if latest_ms - now_ms > _AHEAD_MS:
        return fault(name, f"it is {(latest_ms - now_ms) // 1000} s behind what was written down here before: {set_it}")
    if skew_s is not None and abs(skew_s) >= most_s:
        return fault(name, f"it is {abs(skew_s):.0f} s {'behind' if skew_s > 0 else 'ahead of'} Slack's: {set_it}")
    synchronized, error_s = kernel
    agrees = "" if skew_s is None else "; it agrees with Slack's"
    if synchronized is False:
        return warning(name, f"no time service keeps it right{agrees}: timedatectl set-ntp true")
    if synchronized is None:
        return ok(name, f"the system does not say whether a time service keeps it right{agrees}")
    return ok(name, f"a time service keeps it right (to {error_s or 0:.3f} s){agrees}")


def ports(settings: Settings, running: Running | None, *, held_by_systemd: bool = False) -> Finding:
    """Whether they can be listened on; beside a running process whether it listens where the settings say."""
    from signalcraft.postman.probe import why_not_free

    name, http = "ports", settings.http
    wanted = [listen for listen in (http.listen, http.redirect_listen) if listen]
    if running is not None:
        if running.info["listen"] != http.listen:
            return warning(
                name, f"the process listens on {running.info['listen']}, the settings say {http.listen}: restart it"
            )  # fmt: skip
        free = [listen for listen in wanted if not why_not_free(*_pair(listen))]
        if free:
            return fault(name, f"nobody listens on {free[0]}, though the process runs: look at its log, and restart it")
        return ok(name, f"it listens on {' and '.join(wanted)}")
    if held_by_systemd:
        return ok(name, f"systemd holds {http.listen} until the service is started")
    for listen in wanted:
        why = why_not_free(*_pair(listen))
        if why:
            return fault(name, f"{listen} cannot be listened on: {why}; ss -ltnp says who, or set http.listen")
    return ok(name, f"{' and '.join(wanted)} can be listened on")


def _pair(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def systemd(unit: str, shown: dict[str, str] | None) -> Finding:
    """The state of the service. `shown`: as systemd says it, None where there is no systemd."""
    name = "systemd"
    if shown is None:
        return ok(name, "there is no systemd here")
    if shown.get("LoadState") == "not-found":
        return ok(name, f"there is no service {unit} here")
    if shown.get("LoadState") not in ("loaded", None):
        return fault(name, f"{unit} cannot be loaded ({shown['LoadState']}): systemd-analyze verify {unit}")
    state = shown.get("ActiveState", "")
    if state == "failed":
        return fault(
            name, f"{unit} failed ({shown.get('Result')}): journalctl -u {unit}, mend it, systemctl reset-failed {unit}"
            f" && systemctl start {unit}"
        )  # fmt: skip
    if state == "inactive":
        return warning(name, f"{unit} is not started: systemctl enable --now {unit}")
    if state != "active":
        return warning(name, f"{unit} is {state}: systemctl status {unit}")
    if shown.get("NeedDaemonReload") == "yes":
        return warning(name, f"{unit} was changed since: systemctl daemon-reload && systemctl restart {unit}")
    if shown.get("UnitFileState") == "disabled":
        return warning(name, f"{unit} would not come back after a reboot: systemctl enable {unit}")
    restarts = shown.get("NRestarts", "0")
    if restarts not in ("", "0"):
        return warning(name, f"{unit} was restarted {restarts} times by itself: journalctl -u {unit} says why")
    return ok(name, f"{unit} is active and enabled")


def shown_by_systemd(unit: str) -> dict[str, str] | None:
    """What systemd knows of a unit; None where it does not run this box."""
    found = shutil.which("systemctl")
    if found is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  # our own words
            [found, "show", unit, f"--property={_PROPERTIES}"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines() if "=" in line)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _mode(seen: os.stat_result) -> str:
    return f"{stat.S_IMODE(seen.st_mode):04o}"
