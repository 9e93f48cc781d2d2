"""The scan that `make audit` runs finds a planted secret of every form, and no waiver hides one."""

from __future__ import annotations

import base64
import random
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.security.secret_scan import Found, Waiver, judge, scan, waivers

DICE = random.Random(7)  # they are no secrets, only look like some


def letters(count: int, of: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") -> str:
    return "".join(DICE.choice(of) for _ in range(count))


# Put together here, so that this file holds none.
PLANTED = {
    "AWS Access Key": ("signalcraft/x.py", f'KEY = "AKIA{letters(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")}"'),
    "GitHub Token": ("tests/http/x.py", f'TOKEN = "ghp_{letters(36)}"'),
    "Private Key": ("tests/x.py", "-----BEGIN " + "RSA PRIVATE KEY-----"),
    "Slack Token": ("signalcraft/channels/x.py", f'BOT = "xoxb-{letters(12, "0123456789")}-{letters(24)}"'),
    "JSON Web Token": ("docs/x.md", base64.b64encode(b'{"alg":"HS256","typ":"JWT"}').decode() + ".eyJzdWIiOiIxIn0.abc"),
    "Stripe Access Key": ("config/x.toml", f'key = "sk_live_{letters(24)}"'),
    "Basic Auth Credentials": ("signalcraft/y.py", f'URL = "https://box:{letters(12)}@db.example.com/"'),
    "Hex High Entropy String": ("signalcraft/z.py", f'KEY = "{letters(64, "0123456789abcdef")}"'),
    "Base64 High Entropy String": ("config/y.py", f'KEY = "{letters(44)}"'),
    "Secret Keyword": ("config/z.toml", f'password = "{letters(14)}"'),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found_and_not_waived(tmp_path: Path, kind: str) -> None:
    name, text = PLANTED[kind]
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(f"# a file\n{text}\n")
    found = scan(tmp_path, [name])
    assert (name, 2, kind) in found
    strict = [waiver for waiver in waivers() if not name.startswith("tests/http/") or waiver.kind != "Secret Keyword"]
    assert any(line.startswith(f"{name}:2: ") for line in judge(found, strict))


def test_the_whole_command_says_so_and_fails(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "box.py").write_text(PLANTED["AWS Access Key"][1] + "\n")
    subprocess.run(["git", "add", "box.py"], cwd=tmp_path, check=True)
    python = str(ROOT / ".venv" / "bin" / "python")
    run = [python, "-m", "tests.security.secret_scan", str(tmp_path)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "box.py:1: AWS Access Key" in done.stdout
    again = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert again.stdout == done.stdout, "what was looked at before is remembered, with what was found"


def test_one_more_than_a_waiver_allows_is_told() -> None:
    waiver = Waiver(r"a\.py", "Private Key", 1, "the one")
    one, two = Found("a.py", 1, "Private Key"), Found("a.py", 9, "Private Key")
    assert judge([one], [waiver]) == []
    assert judge([one, two], [waiver]) == ["a.py:9: Private Key"]
    assert judge([], [waiver]) == ["a waiver that nothing needs: a\\.py: Private Key"]


def test_every_waiver_has_its_reason_and_none_is_for_everything() -> None:
    for waiver in waivers():
        assert len(waiver.reason) > 20
        assert waiver.path not in (".*", "")
        assert waiver.kind != "*" or waiver.path == r"tests/test_logs\.py"


def test_waived_rules_of_bandit_are_named_with_a_reason() -> None:
    """pyproject.toml skips few; every `nosec` in the program says why."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert "What ruff's S rules already judged, with the reason there." in text
    bare = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in (ROOT / "signalcraft").rglob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if "# nosec" in line and len(line.partition("# nosec")[2].split()) < 3
    ]
    assert bare == []
