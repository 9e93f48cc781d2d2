"""What is inside: the versions that the program tells, and the list of parts and licences of a binary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signalcraft.errors import NotFound
from signalcraft.storage import inside, versions
from tests.cli.conftest import Box, box  # noqa: F401  # a fixture
from tests.packaging.binary import script


def test_version_all_tells_what_it_stands_on(box: Box) -> None:  # noqa: F811
    """Each asked of the thing itself: a Litestream that cannot run would be missing here."""
    said = json.loads(box.run("version", "--all", "--json").stdout)
    assert {"version", "build", "date", "python", "sqlite", "duckdb", "litestream", "libc", "platform"} <= set(said)
    for name in ("python", "sqlite", "duckdb", "litestream"):
        assert said[name].count(".") >= 2, said
    text = box.run("version", "--all").stdout
    assert f"Litestream  {said['litestream']}" in text
    assert "runs from its sources: there is no build" in text


def test_what_the_build_wrote_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("signalcraft.__file__", str(tmp_path / "__init__.py"))
    assert (versions.built(), versions.build()) == ({}, "")
    (tmp_path / "built.json").write_text('{"commit": "0123456789ab", "date": "2026-11-21T00:00:00Z"}')
    assert versions.build() == "0123456789ab"


def test_the_licences_of_every_part(tmp_path: Path) -> None:
    """A text that several parts share is kept once; a part without one says which licence it named."""
    inventory = script("inventory")
    parts = [
        inventory.Part(kind="python", name="one", version="1", licence="MIT", texts={"LICENSE": "MIT, for all\n"}),
        inventory.Part(
            kind="web", name="@two/x", version="2", texts={"LICENSE.md": "MIT, for all\n", "NOTICE": "hear\n"}
        ),
        inventory.Part(kind="go", name="three", version="v3", within="litestream"),
        inventory.Part(kind="rust", name="five", version="5", licence="MIT OR Apache-2.0", within="granian"),
        inventory.Part(kind="rust", name="six", version="6", licence="Apache-2.0 AND ISC", within="granian"),
    ]
    inventory.chosen(parts)
    rows = inventory.write(parts, tmp_path)
    (tmp_path / "LICENSE").write_text("ours\n")
    (tmp_path / "NOTICE").write_text(script("notice").document(rows, "1.2.3"))
    assert len(list(tmp_path.glob("*.txt"))) == 3
    assert [(one.name, one.licence, one.within) for one in inside.parts(tmp_path)] == [
        ("one", "MIT", ""), ("@two/x", "", ""), ("three", "", "litestream"),
        ("five", "MIT OR Apache-2.0", "granian"), ("six", "Apache-2.0 AND ISC", "granian"),
    ]  # fmt: skip
    assert inside.text("ONE", tmp_path) == "MIT, for all"
    assert "hear" in inside.text("@two/x", tmp_path)
    assert inside.text("signalcraft", tmp_path) == "ours\n"
    assert "Version 2.0, January 2004" in inside.text("five", tmp_path), "one of two may be taken: that one"
    with pytest.raises(NotFound, match="came without the text"):
        inside.text("three", tmp_path)
    with pytest.raises(NotFound, match="signalcraft licences lists them"):
        inside.text("four", tmp_path)
    notice = inside.text("notice", tmp_path)
    assert "  one 1: MIT [python-one-LICENSE.txt]\n" in notice
    assert "  three v3 (in litestream): not said\n" in notice
    assert "repositories say: 1, 1 of them without a text\n" in notice
    assert "in their libraries say it: 2, 1 of them without a text\n" in notice


def test_a_checkout_has_no_list(box: Box) -> None:  # noqa: F811
    assert "runs from its sources" in box.refused("licences", code=1)
