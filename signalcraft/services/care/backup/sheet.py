"""The recovery sheet: one page of paper with what is needed to bring this box back on another machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from signalcraft import __version__
from signalcraft.config import Settings
from signalcraft.domain.keeping import DAY_MS
from signalcraft.services.care.backup.state import Backup
from signalcraft.storage.bundle import Opener

_LINE = "_" * 44


def sheet(
    settings: Settings, data_dir: Path, box: str, openers: list[Opener], outside: list[str], kept: list[Backup],
    now_ms: int,
) -> str:  # fmt: skip
    """Its text, at most 80 columns. No key is on it: the places for them are left blank."""
    made = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d")
    own = [one for one in kept if one.own]
    latest = Path(own[0].path).name if own else "signalcraft-<date>-<time>.scb"
    lines = [
        "SIGNALCRAFT RECOVERY SHEET",
        "",
        f"Box {box}, {settings.http.public_url or 'without a public address'}",
        f"SignalCraft {__version__}, printed on {made}",
        "Print this and keep it away from the machine. Print it anew when anything here",
        "changes; look at it once a quarter.",
        "",
        "1. WHAT YOU NEED",
        "",
        "[ ] A machine: Debian 12 or newer (or another Linux with glibc 2.36),",
        f"    with SignalCraft {__version__} or newer installed",
        "[ ] A backup, or the replica:",
        *_places(settings, data_dir, own, now_ms),
        "[ ] A key that opens the backup. One of these is enough:",
        *_keys(settings, data_dir, openers),
    ]
    if outside:
        lines += ["[ ] Secrets that no file here holds; they came from outside:"]
        lines += [f"    {sentence}" for sentence in outside]
    lines += [
        "",
        "2. THE ONE COMMAND (the key in a file of its own, KEYFILE)",
        "",
        f"    signalcraft restore {latest} \\",
        f"        --key-file KEYFILE --data-dir {data_dir}",
        "",
    ]
    if settings.replica.url:
        lines += [
            "   or from the replica, which is seconds old (the master key in KEYFILE):",
            "",
            f"    signalcraft restore --from-replica {settings.replica.url} \\",
            f"        --master-key-file KEYFILE --data-dir {data_dir}",
            "",
        ]
    lines += [
        "3. THEN",
        "",
        "    Start it (systemctl start signalcraft, or signalcraft serve). It takes",
        "    alerts and sends nothing yet. See what would be sent, then let it:",
        "",
        f"    signalcraft resume --dry-run --data-dir {data_dir}",
        f"    signalcraft resume --data-dir {data_dir}",
        "",
        f"    Point {settings.http.public_url or 'its public address'} at the new machine.",
        "    The old machine must not come back beside it.",
        "",
        f"Whom to call: {_LINE}",
        f"Last tried on: {_LINE}",
    ]
    return "\n".join(lines) + "\n"


def _places(settings: Settings, data_dir: Path, own: list[Backup], now_ms: int) -> list[str]:
    lines = [f"    - {settings.backup.folder(data_dir)}  (on this machine)"]
    if settings.backup.copy_to:
        lines.append(f"    - {settings.backup.copy_to}  (the second copy)")
    if settings.replica.url:
        lines.append(f"    - {settings.replica.url}  (the replica)")
    if not settings.backup.copy_to and not settings.replica.url:
        lines += [
            "    NOTHING IS KEPT OFF THIS MACHINE: set backup.copy_to or replica.url,",
            f"    or copy the files by hand to: {_LINE}",
        ]
    if own:
        days = (now_ms - own[0].found.created_ms) // DAY_MS
        lines.append(f"    The latest: {Path(own[0].path).name} ({days} days old)")
    return lines


def _keys(settings: Settings, data_dir: Path, openers: list[Opener]) -> list[str]:
    lines = []
    for one in openers:
        if one.kind == "recipient":
            lines += [
                f"    - the backup key {one.name} (signalcraft-backup-key-…), kept at:",
                f"      {_LINE}",
            ]
        else:
            given = bool(settings.security.master_key.reveal())
            where = "security.master_key of the settings" if given else f"{data_dir}/master.key"
            lines += [
                f"    - the master key {one.name}, on this machine in {where};",
                "      a copy made by `signalcraft keys export` is kept at:",
                f"      {_LINE}",
                f"      and its passphrase at: {_LINE}",
            ]
    return lines
