"""The locks: every dependency has a hash, and nothing says where it came from."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.house.tree import ROOT

LOCKS = ["runtime.lock.txt", "dev.lock.txt"]


def pins(lock: str) -> dict[str, str]:
    """Version by normalised name."""
    text = (ROOT / lock).read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE))


def names(wanted: list[str]) -> set[str]:
    """The normalised names of requirements."""
    return {re.split(r"[<>=!~\[; ]", each)[0].lower().replace("_", "-").replace(".", "-") for each in wanted}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    """And every line is a pin, a hash or a comment."""
    entries = re.split(r"^(?=\S)", (ROOT / lock).read_text("utf-8"), flags=re.MULTILINE)
    for entry in filter(None, entries):
        if not entry.startswith("#"):
            assert re.match(r"[a-z0-9-]+==[\w.+!-]+( ; [^\\\n]+)? \\\n    --hash=sha256:[0-9a-f]{64}", entry), entry[
                :80
            ]
    assert len(pins(lock)) > 30


@pytest.mark.parametrize("lock", LOCKS)
def test_no_address_is_in_a_lock(lock: str) -> None:
    """Neither a registry nor a folder: whoever installs decides where from."""
    text = (ROOT / lock).read_text("utf-8")
    assert re.findall(r"\S*(?:://|--(?:extra-)?index|--find-links|--trusted|file:| @ | /)\S*", text) == []


@pytest.mark.parametrize("name", ["pyproject.toml", "Makefile", "web/package-lock.json", ".npmrc"])
def test_no_registry_is_named_elsewhere(name: str) -> None:
    """Nor where packages are asked for."""
    file = ROOT / name
    if name.startswith(("web/", ".npmrc")) and not file.exists():
        return  # there is no dashboard yet
    assert (
        re.findall(r"\"resolved\": \"https?:|(?:registry|url|index-url) *= *\"?https?:", file.read_text("utf-8")) == []
    )


def test_the_locks_are_those_of_the_project() -> None:
    """What pyproject.toml asks for is pinned, and the tests run on exactly what is shipped."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    runtime, dev = pins("runtime.lock.txt"), pins("dev.lock.txt")
    assert names(project["project"]["dependencies"]) - set(runtime) == set()
    assert names(project["dependency-groups"]["dev"]) - set(dev) == set()
    assert {name: version for name, version in runtime.items() if dev.get(name) != version} == {}
