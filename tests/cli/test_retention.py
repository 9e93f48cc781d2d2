"""`signalcraft retention` and `signalcraft archive`, beside a running process and alone."""

from __future__ import annotations

import json

from tests.cli.conftest import Box


def test_retention_and_archive_beside_and_alone(either: Box) -> None:
    shown = either.run("retention", "show").stdout
    assert "resolved alert groups      90 days" in shown
    assert "It has not run yet." in shown
    assert json.loads(either.run("retention", "show", "--json").stdout)["policy"]["payload_days"] == 30
    assert "groups       0" in either.run("retention", "run", "--dry-run").stdout
    assert either.run("retention", "run").stdout.startswith("ok: nothing was old enough")
    assert ": ok. nothing was old enough" in either.run("retention", "show").stdout
    assert either.run("archive", "list").stdout == "The archive is empty.\n"
    assert either.run("archive", "search", "--text", "x").stdout == "Nothing in the archive fits.\n"
    assert either.run("archive", "search", "--what", "audit").stdout == "Nothing in the archive fits.\n"
    assert either.run("archive", "verify").stdout == "0 files, each as it was written.\n"
    assert "nothing of 2026-03 is in the archive" in either.refused("archive", "restore", "2026-03", code=1)
