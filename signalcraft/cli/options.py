"""Options that many commands share, and the settings they lead to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from signalcraft.config import Loaded

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Where:
    """Which SignalCraft a command speaks to: its settings file, data directory and workspace."""

    config: Path | None
    data_dir: Path | None
    workspace: str = "default"
    listen: str | None = None

    def loaded(self) -> Loaded:
        """The settings with these options on top. Raises BadSetting."""
        from signalcraft.config import load

        overrides = {}
        if self.data_dir is not None:
            overrides["data.dir"] = str(self.data_dir)
        if self.listen is not None:
            overrides["http.listen"] = self.listen
        return load(self.config, overrides)


_CONFIG = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The settings file (TOML)."
)
_DATA_DIR = click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="The data directory."
)
_WORKSPACE = click.option("--workspace", default="default", show_default=True, metavar="NAME", help="The workspace.")
_LISTEN = click.option("--listen", metavar="HOST:PORT", help="Address and port to listen on.")

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for scripts.")


def where(*, workspace: bool = True, listen: bool = False) -> Callable[[F], Callable[..., Any]]:
    """Gives a command `--config` and `--data-dir` (and `--workspace`, `--listen`), handed in as one `where: Where`."""

    def decorate(command: F) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(*args: Any, config: Path | None, data_dir: Path | None, **rest: Any) -> Any:
            place = Where(config, data_dir, rest.pop("workspace", "default"), rest.pop("listen", None))
            return command(*args, where=place, **rest)

        wrapped: Callable[..., Any] = _CONFIG(_DATA_DIR(_WORKSPACE(run) if workspace else run))
        return _LISTEN(wrapped) if listen else wrapped

    return decorate
