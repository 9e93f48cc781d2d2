"""The settings of backups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from signalcraft.config.section import Section, says

DAYS: Final = {"30d": 30, "90d": 90, "1y": 365}
"""How long each of the presets keeps a backup, in days."""


class Backup(Section, frozen=True):
    """Backups: one file each, sealed, with all that a new machine needs. See docs/how-to/back-up.md."""

    schedule: Annotated[
        Literal["daily", "weekly", "off"], says("When one is made by itself; weekly: on Sundays. off: by hand alone.")
    ] = "daily"
    at: Annotated[str, says("The local time of day (workspace.timezone), as HH:MM.", form="time_of_day")] = "02:30"
    dir: Annotated[
        str,
        says("Where they are kept. Empty: `backups` in the data directory.", form="directory"),
    ] = ""
    copy_to: Annotated[
        str,
        says(
            "A second directory that each backup is copied to: another disk or a mounted share, which must be there. "
            "Empty: none, and a lost disk takes the backups along.",
            form="directory",
        ),
    ] = ""
    keep: Annotated[
        Literal["30d", "90d", "1y"],
        says("How long each backup is kept. The newest that was verified is never removed."),
    ] = "30d"
    recipient: Annotated[
        str,
        says(
            "The public part of a key that `signalcraft backup keygen` made; its private part opens the backups on any "
            "machine. Empty: they open with the master key alone."
        ),
    ] = ""

    @property
    def days(self) -> int:
        """How many days one is kept."""
        return DAYS[self.keep]

    def folder(self, data_dir: Path) -> Path:
        """Where they are kept."""
        return Path(self.dir) if self.dir else data_dir / "backups"


def at_odds(backup: Backup, data_dir: Path) -> Iterator[tuple[str, str]]:
    """(key, one sentence) of what does not go together."""
    if backup.copy_to and Path(backup.copy_to) == backup.folder(data_dir):
        yield "backup.copy_to", "must be another directory than that of the backups"
    if backup.recipient and not re.fullmatch(r"signalcraft-recipient-[a-z2-7]{7}(-[a-z2-7]{7}){7}", backup.recipient):
        yield "backup.recipient", "must be a public part as `signalcraft backup keygen` prints it, or empty"
