"""`signalcraft person` beside a running process and alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Box

SAM, KIM = "sam@example.com", "kim@example.com"
PASSWORD = "tractor-lunar-vivid\n"


def people(box: Box) -> None:
    box.run("user", "add", KIM, "--role", "owner", "--password-stdin", stdin=PASSWORD)
    box.run("user", "add", SAM, "--name", "Samuel Doe", "--password-stdin", stdin=PASSWORD)


def rows(box: Box) -> list[dict[str, Any]]:
    return [json.loads(line) for line in box.run("audit", "export").stdout.splitlines()]


@pytest.mark.whole
def test_a_person_is_told_and_erased(either: Box) -> None:
    """One row of the audit log each, and the chain holds after it."""
    people(either)
    file = either.root / "sam.json"
    either.run("person", "export", SAM, "-o", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    told = json.loads(file.read_text())
    assert told["account"]["person"][0]["name"] == "Samuel Doe"
    assert json.loads(either.run("person", "export", SAM).stdout)["about"]["marks"] == [SAM]
    before = len(rows(either))
    assert "say --yes" in either.refused("person", "erase", SAM)
    done = json.loads(either.run("person", "erase", SAM, "--yes", "--json").stdout)
    assert done["done"]
    made = rows(either)[before:]
    assert [row["verb"] for row in made] == ["person_erased"]
    assert [row["verb"] for row in rows(either)].count("person_exported") == 2
    assert SAM not in json.dumps(rows(either))
    assert "Samuel" not in json.dumps(rows(either))
    either.run("audit", "verify")
    assert SAM not in either.run("user", "list").stdout
    assert KIM in either.run("user", "list").stdout
    assert "nothing is kept" in either.refused("person", "export", SAM, code=1)


@pytest.mark.whole
def test_who_cannot_be_erased_is_said_in_one_line(box: Box) -> None:
    people(box)
    assert "owner" in box.refused("person", "erase", KIM, "--yes", code=1)
    assert "nothing is kept" in box.refused("person", "erase", "nobody@example.com", "--yes", code=1)
    assert "slack:U" in box.refused("person", "erase", "Sam", "--yes")
    said = box.run("person", "erase", SAM, "--also", "slack:U024BE7LH", "--also", "name:Sammy", "--yes")
    assert "erased-" in said.stdout
    assert "backups" in said.stderr
