"""The settings of the restore drill."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from signalcraft.config.section import Section, says


class Drill(Section, frozen=True):
    """Each night the newest backup and the replica are restored, to see whether they can be: the restore drill."""

    schedule: Annotated[bool, says("Whether it is done each night.")] = True
    at: Annotated[str, says("The local time of day (workspace.timezone), as HH:MM.", form="time_of_day")] = "03:30"
    dir: Annotated[
        str,
        says(
            "Where it restores to, and cleans up after it. It takes as much room as the database. Empty: `drill` in "
            "the data directory.",
            form="directory",
        ),
    ] = ""
    memory_mb: Annotated[int, says("Memory that it may use, in MB; it is a process of its own.", ge=64, le=65536)] = 256

    def folder(self, data_dir: Path) -> Path:
        """Where it restores to."""
        return Path(self.dir) if self.dir else data_dir / "drill"
