"""Deployments are told through SignalCraft itself: start, success, failure and the way back, each seen in a channel."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.world import World

DEPLOY = ROOT / "packaging/pipeline/deploy.py"
STRICT = 'case "$*" in *BatchMode=yes*StrictHostKeyChecking=yes*) ;; *) exit 9 ;; esac'
"""Nobody is there to answer, and a machine with another key than the known one is refused."""
HEARD = 'n=0; until [ -e "$SITE/heard" ]; do sleep 0.05; n=$((n+1)); [ $n -lt 600 ] || exit 1; done'


class Site:
    """A machine that a release is brought to: `ssh` and `scp` note what they were asked, the smoke test says what the
    test wants.
    """

    def __init__(self, root: Path, world: World) -> None:
        self.root = root
        self.world = world
        bin_ = root / "bin"
        bin_.mkdir()
        (root / "said").touch()
        for name, script in (
            ("ssh", f'{STRICT}; for last; do :; done; echo "ssh $last" >> "$SITE/said"'),
            # A deployment takes minutes: by then the channel has heard of its start.
            ("scp", f'{STRICT}; echo "scp" >> "$SITE/said"; {HEARD}'),
            (
                "signalcraft",
                'echo "smoke" >> "$SITE/said"; n=$(grep -c smoke "$SITE/said"); ! grep -qx "$n" "$SITE/fails"',
            ),
        ):
            (bin_ / name).write_text(f"#!/bin/sh\n{script}\n")
            (bin_ / name).chmod(0o755)
        # The interpreter beside which the program lies.
        (bin_ / "python").write_text(f'#!/bin/sh\nexec -a "$0" {sys.executable} "$@"\n')
        self.package = root / "signalcraft_1_amd64.deb"
        self.package.touch()
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("DEPLOY_")},
            "PATH": f"{bin_}:/usr/bin:/bin", "SITE": str(root), "PYTHONPATH": str(ROOT),
            "DEPLOY_HOST": "deploy@box", "DEPLOY_URL": "https://box.example.com", "DEPLOY_KEY_FILE": "/dev/null",
            "DEPLOY_NOTIFY_URL": world.integration("generic", "releases")["webhook_url"],
        }  # fmt: skip

    def deploys(self, place: str, *, failing_smokes: str = "") -> int:
        """Its exit code. `failing_smokes`: the numbers of those that fail, a line each."""
        (self.root / "said").write_text("")
        (self.root / "fails").write_text(failing_smokes)
        code = (
            "import runpy, sys; sys.executable = sys.argv.pop(1); sys.argv.pop(0);"
            f"sys.path.insert(0, {str(DEPLOY.parent)!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        words = [sys.executable, "-c", code, str(self.root / "bin/python"), str(DEPLOY), place, str(self.package)]
        process = subprocess.Popen(words, env=self.env)
        try:
            while process.poll() is None:
                self.world.settled()
                if self.world.told or not self.env["DEPLOY_NOTIFY_URL"]:
                    (self.root / "heard").touch()
                time.sleep(0.05)
        finally:
            process.kill()
        return process.wait()

    @property
    def said(self) -> list[str]:
        """What was done, in order."""
        return (self.root / "said").read_text().split("\n")[:-1]


@pytest.fixture
def site(world: World, tmp_path: Path) -> Site:
    world.rule("project == deployments", "#releases")
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site", world)


def test_a_deployment_that_goes_well_is_told_at_its_start_and_its_end(world: World, site: Site) -> None:
    assert site.deploys("staging") == 0
    world.after(minutes=1)
    assert site.said == [
        "smoke", "scp", "ssh sudo apt-get install -y --allow-downgrades /tmp/signalcraft_1_amd64.deb",
        "ssh sudo signalcraft doctor", "smoke",
    ]  # fmt: skip
    first, last = world.told
    assert (first.channel, last.channel) == ("#releases", "#releases")
    assert "has started" in first.text
    assert last.in_thread
    assert world.group()["status"] == "resolved"


def test_a_deployment_that_fails_is_taken_back_and_both_are_told(world: World, site: Site) -> None:
    """With the start and the success above: four events, each observed in a channel."""
    assert site.deploys("production", failing_smokes="2\n") == 1
    world.after(minutes=1)
    assert site.said[-2:] == ["ssh sudo signalcraft rollback --yes", "smoke"]
    texts = [told.text for told in world.told]
    assert len(texts) == 3
    assert "has started" in texts[0]
    assert world.told[1].in_thread
    assert "was taken back" in texts[2]
    groups = {group["title"]: group for group in world.groups()}
    assert {group["severity"] for group in groups.values()} == {"high"}
    assert {group["environment"] for group in groups.values()} == {"production"}
    assert site.deploys("production") == 0
    assert {group["status"] for group in world.groups()} == {"resolved"}, "the way back is over with the next success"


def test_a_way_back_that_fails_is_told(world: World, site: Site) -> None:
    assert site.deploys("production", failing_smokes="2\n3\n") == 1
    assert site.said[-2:] == ["ssh sudo signalcraft rollback --yes", "smoke"]
    told = world.get(f"/api/alert-groups/{world.group()['id']}")
    assert (told["severity"], told["status"]) == ("high", "open")
    assert "could not be taken back: smoke test: exit 1" in told["message"]


def test_what_does_not_work_before_is_not_touched(world: World, site: Site) -> None:
    assert site.deploys("staging", failing_smokes="1\n") == 1
    assert site.said == ["smoke"]


def test_a_deployment_does_not_hang_on_being_told(site: Site) -> None:
    site.env["DEPLOY_NOTIFY_URL"] = ""
    assert site.deploys("staging") == 0
    assert len(site.said) == 5


def test_it_is_asked_with_all_it_needs(site: Site) -> None:
    del site.env["DEPLOY_URL"]
    assert site.deploys("staging") == 2
    assert site.said == []
