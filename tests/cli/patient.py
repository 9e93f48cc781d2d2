"""A machine that `signalcraft doctor` looks at, and what it says of it."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout

import pytest

from signalcraft.cli.root import run
from signalcraft.demo.slack.standin import BOT_TOKEN
from signalcraft.storage.db import Db
from tests.cli.conftest import Box
from tests.standins import Receiver, SlackStandIn


class Patient:
    """A machine with one Slack channel, and what the doctor says of it, in this process: some 40 starts would take
    minutes."""

    def __init__(self, box: Box, slack: SlackStandIn) -> None:
        self.box = box
        self.slack = slack
        self.env = {"SIGNALCRAFT_SLACK__API_URL": slack.base_url, "SIGNALCRAFT_OUTBOUND__ALLOW": "127.0.0.1"}
        # The service of this machine, were there one, is not the one of these tests.
        (box.root / "bin").mkdir()
        self.systemctl("exit 1")

    def systemctl(self, script: str) -> None:
        """What `systemctl` does here."""
        file = self.box.root / "bin" / "systemctl"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        self.env["PATH"] = f"{file.parent}:/usr/bin:/bin"

    def has(self, *tables: str) -> None:
        """Applies a file."""
        (self.box.root / "it.toml").write_text("\n".join(tables))
        self.box.run("apply", "it.toml", env=self.env)

    def changed(self, sql: str) -> None:
        """Changes its database, past the program."""
        db = Db(self.box.data / "signalcraft.db")
        with db.direct() as tx:
            tx.run(sql)
        db.stop()

    def says(self, *options: str, **settings: str) -> dict[str, tuple[str, str]]:
        """Status and detail of each check; the exit code is held against the worst of them."""
        code, out, err = self.told("--json", *options, **settings)
        assert err == ""
        said = json.loads(out)
        checks = {one["name"]: (one["status"], one["detail"]) for one in said["checks"]}
        worst = max(("ok", "warning", "fault").index(status) for status, _ in checks.values())
        assert (code, said["status"]) == (worst, ("ok", "warning", "fault")[worst])
        return checks

    def told(self, *options: str, **settings: str) -> tuple[int, str, str]:
        """Exit code, standard output and error."""
        out, err = io.StringIO(), io.StringIO()
        more = {f"SIGNALCRAFT_{key.upper()}": value for key, value in settings.items()}
        kept = os.umask(0o077)
        try:
            with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
                for name in set(os.environ) - set(self.box.env):
                    patch.delenv(name)
                for name, value in {**self.box.env, **self.env, **more}.items():
                    patch.setenv(name, value)
                code = run(["doctor", *options])
        finally:
            os.umask(kept)
        return code, out.getvalue(), err.getvalue()

    def expects(self, name: str, status: str, words: str, **settings: str) -> None:
        """That one check says so."""
        checks = self.says(**settings)
        assert name in checks, checks
        assert checks[name][0] == status, checks[name]
        assert words in checks[name][1], checks[name]


def origin(other: Receiver) -> str:
    """Where a server that is not ours listens."""
    return other.url.removesuffix("/hook")


def slack_channel(token: str = BOT_TOKEN) -> str:
    return f'[[channels]]\nname = "oncall"\nkind = "slack"\nbot_token = "{token}"\nchannel = "C0ONCALL"\n'
