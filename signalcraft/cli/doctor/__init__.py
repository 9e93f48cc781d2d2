"""`signalcraft doctor`: is the box ready, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import say, say_json

if TYPE_CHECKING:
    from signalcraft.cli.doctor.finding import Finding
    from signalcraft.config import Loaded

_UNIT = "signalcraft.service"


@click.command()
@click.option("--report", is_flag=True, help="Print a text for a bug report, without secrets.")
@click.option("--unit", default=_UNIT, show_default=True, metavar="NAME", help="The systemd service.")
@as_json
@where(workspace=False)
def doctor(where: Where, report: bool, unit: str, as_json: bool) -> int:
    """Check that the box is ready, one line a check: ok, warning, or fault with what to do.

    It looks at the public address (DNS, certificate, who answers), ports, clock, disk, permissions, the database, the
    master key, backups, the restore drill, the replica, the systemd service and each channel's server. Nothing is
    changed and nobody is told. The exit code is 0 where all is well, 1 with a warning, 2 with a fault.

    \b
    Example:
      signalcraft doctor --config /etc/signalcraft/signalcraft.toml
      signalcraft doctor --json
      signalcraft doctor --report > report.md
    """
    from signalcraft.cli.doctor.examine import examine
    from signalcraft.cli.doctor.finding import Finding, exit_code
    from signalcraft.errors import BadSetting
    from signalcraft.main import system_now

    loaded: Loaded | None = None
    try:
        loaded = where.loaded()
        found = examine(loaded, unit, system_now())
    except BadSetting as problem:
        lines = [message for _, message in problem.errors] or [problem.detail]
        found = [Finding("settings", "fault", line) for line in lines]
    if report:
        from signalcraft.cli.doctor.report import text

        say(text(loaded, found))
    elif as_json:
        say_json(_document(found))
    else:
        _show(found)
    return exit_code(found)


def _document(found: Sequence[Finding]) -> dict[str, object]:
    import signalcraft
    from signalcraft.cli.doctor.finding import STATUSES, exit_code

    checks = [{"name": one.name, "status": one.status, "detail": one.detail} for one in found]
    return {"status": STATUSES[exit_code(found)], "version": signalcraft.__version__, "checks": checks}


def _show(found: Sequence[Finding]) -> None:
    width = max(len(one.name) for one in found)
    for one in found:
        say(f"{one.status:<8} {one.name:<{width}}  {' '.join(one.detail.split())}")
    faults = sum(one.status == "fault" for one in found)
    warnings = sum(one.status == "warning" for one in found)
    say(f"{len(found)} checks: {faults} faults, {warnings} warnings")
