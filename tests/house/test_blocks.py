"""What the documentation shows as code is code: run, or checked against the program as far as its language allows.

How a block is treated is said by its language; docs/how-to/work-on-signalcraft.md has the same table for people.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import click
import msgspec
import pytest
import yaml  # type: ignore[import-untyped]
from markdown_it import MarkdownIt

from signalcraft.cli.root import root
from signalcraft.config.fields import fields, sections
from signalcraft.domain.matcher.condition import read_condition
from signalcraft.domain.routing import Rule, compile_rule
from signalcraft.services.applyfile import SECTIONS
from signalcraft.services.kinds import CHANNEL_KINDS, SOURCE_KINDS
from tests.house.tree import ROOT, files

PAGES = [name for name in files() if name == "README.md" or (name.startswith("docs/") and name.endswith(".md"))]
RUN = {
    "docs/tutorial/first-alert.md": "tests/cli/test_tutorial.py",
}
"""Pages whose `bash` blocks a test runs, in order, and that test."""
_LEFT_OUT = re.compile(r",\s*…")


_COMMAND = re.compile(
    r"(?:^\s*|[;&|(]\s*)(?:sudo (?:-u \w+ )?)?(?:\w+=\S* )*"
    r"(?:\S*/)?signalcraft(?:-[\d.]+)?(?=[\s)]|$)((?: [^|;&)#>]*)?)"
)
"""Where the word is a command; elsewhere it is a user, a service, a package or a folder."""


class Block(NamedTuple):
    """A code block. `info`: the words after the fence, "" for none; `where`: page and line, for people."""

    page: str
    info: str
    text: str
    where: str

    @property
    def language(self) -> str:
        """The first word."""
        return self.info.partition(" ")[0]


@cache
def blocks() -> list[Block]:
    """Every code block of every page, those made by indenting included."""
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    found = []
    for page in PAGES:
        for token in reader.parse((ROOT / page).read_text("utf-8")):
            if token.type in ("fence", "code_block"):
                line = token.map[0] + 1 if token.map else 0
                found.append(Block(page, token.info.strip(), token.content, f"{page}:{line}"))
    return found


def of(*languages: str) -> list[Block]:
    return [one for one in blocks() if one.language in languages]


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each `signalcraft …` in a block of shell; in a session (`console`) only what was typed."""
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
    for line in text.splitlines():
        for said in _COMMAND.findall(line.partition(" #")[0]):
            yield shlex.split(said)


def wrong(words: list[str]) -> str:
    """Why the program would not understand these words; "" where it does. Values are not looked at."""
    command: click.Command = root
    path = "signalcraft"
    while True:
        context = click.Context(command, info_name=path)
        try:
            _, words, _ = command.make_parser(context).parse_args(args=list(words))
        except click.UsageError as problem:
            return f"{path}: {problem.format_message()}"
        if not isinstance(command, click.Group) or not words:
            return ""
        name, words = words[0], words[1:]
        if name not in command.commands:
            return f"{path} has no command {name}"
        command, path = command.commands[name], f"{path} {name}"


# -- the checks -------------------------------------------------------------------------------------------------------


def _settings_or_apply(text: str) -> None:
    """A piece of the settings, or of a file for `apply`: every name in it is one, every value of the right type."""
    told = tomllib.loads(text)
    if set(told) & {"integrations", "channels", "rules"} or "default_channels" in told.get("workspace", {}):
        assert set(told) <= set(SECTIONS)
        for table in told.get("integrations", []):
            _entry(table, SOURCE_KINDS)
        for table in told.get("channels", []):
            _entry(table, CHANNEL_KINDS)
        for table in told.get("rules", []):
            assert set(table) <= {field.name for field in msgspec.structs.fields(Rule)}, table
            compile_rule(Rule(id=1, name="x", channels=[1], when=read_condition(table.get("when", {}))))
        return
    for path, value in _flat(told):
        if path.endswith("_file") and fields().get(path.removesuffix("_file")) is not None:
            continue
        assert path in fields(), f"there is no setting {path}"
        if not fields()[path].is_secret:
            msgspec.convert(value, fields()[path].annotated)


def _entry(table: dict[str, Any], kinds: Any) -> None:
    known = kinds[table["kind"]].fields if "kind" in table else None
    for name in table:
        plain = re.sub(r"_(file|env)$", "", name)
        ours = ("name", "kind", "enabled", "token", "config")
        assert known is None or name in known or plain in known or plain in ours, f"{table['kind']} has no {name}"


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _json(text: str) -> None:
    for document in re.split(r"\n(?=[\[{])", text.strip()):
        json.loads(_LEFT_OUT.sub("", document))


CHECKS: dict[str, Callable[[str], Any]] = {
    "toml": _settings_or_apply,
    "json": _json,
    "yaml": yaml.safe_load,
    "python": ast.parse,
}
SHELL = ("sh", "console", "bash")
SHOWN = ("text", "mermaid", "sql", "js", "nginx", "caddy", "ini", "hcl")
"""Drawings, output, and what other programs read: their own tests have the files that are delivered."""


def test_every_block_says_what_it_is() -> None:
    """No indented one, none without a language, none in a language that nobody checks."""
    known = {*CHECKS, *SHELL, *SHOWN}
    assert [one.where for one in blocks() if one.language not in known] == []


def test_every_bash_block_is_run_by_a_test() -> None:
    """Word for word. What needs root or another machine is `sh`: read, not run."""
    assert {one.page for one in of("bash")} <= set(RUN)
    for page, test in RUN.items():
        if (ROOT / page).exists():
            assert page.rpartition("/")[2] in (ROOT / test).read_text("utf-8")


@pytest.mark.parametrize("language", CHECKS)
def test_every_block_of_data_can_be_read(language: str) -> None:
    problems = []
    for block in of(language):
        try:
            CHECKS[language](block.text)
        except Exception as problem:
            problems.append(f"{block.where}: {problem}")
    assert problems == [], "\n".join(problems)


def test_every_command_is_one_that_the_program_has() -> None:
    """With its options."""
    told = [(block, words) for block in of(*SHELL) for words in commands(block)]
    assert len(told) > 60
    assert [f"{block.where}: {why}" for block, words in told if (why := wrong(words))] == []


def test_every_command_in_a_sentence_is_one_that_the_program_has() -> None:
    """Between code marks, in prose and tables; the changelog and the decisions tell of their time."""
    lost, seen = [], 0
    for page, text in _prose():
        sentences = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        for said in re.findall(r"`signalcraft ([a-z][^`…|]*)", sentences):
            seen += 1
            why = wrong(shlex.split(said.split(" > ")[0]))
            if why and "requires an argument" not in why and said != "bundle":  # a word of the format of backups
                lost.append(f"{page}: signalcraft {said}: {why}")
    assert seen > 100
    assert lost == []


def test_what_is_no_command_is_found() -> None:
    """The check itself."""
    assert wrong(["backup", "list"]) == ""
    assert wrong(["backup", "--to", "/mnt"]) == ""
    assert "no command" in wrong(["backup", "lisst"])
    assert "--tooo" in wrong(["backup", "--tooo", "/mnt"])
    block = Block("", "console", "$ signalcraft a && signalcraft b | x\nsignalcraft c\n", "")
    assert list(commands(block)) == [["a"], ["b"]]


def test_every_address_of_the_api_is_one_that_it_has() -> None:
    """In code and in prose: `GET /api/…`, and what curl is given."""
    paths = json.loads((ROOT / "docs/reference/openapi.json").read_text("utf-8"))["paths"]
    known = {(method.upper(), path) for path, item in paths.items() for method in item if method != "parameters"}
    shapes = [(method, re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path))) for method, path in known]
    lost = []
    for page in PAGES:
        if page == "docs/changelog.md" or page.startswith("docs/decisions/"):
            continue  # they tell of their time
        text = (ROOT / page).read_text("utf-8")
        for method, path in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/(?:api|health)[\w/{}.-]*)", text):
            if not any(one == method and shape.fullmatch(path.rstrip("./")) for one, shape in shapes):
                lost.append(f"{page}: {method} {path}")
        for path in re.findall(r"(?:\$BOX|https?://[\w.:-]+)(/api/[\w/{}.-]+)", text):
            if not any(shape.fullmatch(path.rstrip("./")) for _, shape in shapes):
                lost.append(f"{page}: {path}")
    assert lost == []


def _prose() -> Iterator[tuple[str, str]]:
    """The pages that tell of the program as it is."""
    for page in PAGES:
        if page != "docs/changelog.md" and not page.startswith("docs/decisions/"):
            yield page, (ROOT / page).read_text("utf-8")


_FILES = ("purged", "py", "db", "toml", "md", "key", "next", "example", "com", "read", "write")
"""Last parts of names that are files, scopes or verbs and no settings."""


def test_every_setting_that_is_named_is_one() -> None:
    """`section.name` in code marks, wherever it stands."""
    tops = {path.partition(".")[0] for path in fields()}
    lost = []
    for page, text in _prose():
        for name in re.findall(r"`((?:\w+)(?:\.\w+)+)(?: = [^`]+)?`", text):
            top, last = name.partition(".")[0], name.rpartition(".")[2]
            known = name in fields() or name.removesuffix("_file") in fields() or name in sections()
            if top in tops and not known and last not in _FILES:
                lost.append(f"{page}: {name}")
    assert lost == []


def test_every_metric_that_is_named_is_one() -> None:
    known = (ROOT / "docs/reference/metrics.md").read_text("utf-8")
    names = set(re.findall(r"`(signalcraft_\w+)`", known))
    lost = []
    for page, text in _prose():
        if page == "docs/how-to/provision.md":
            continue  # it names variables of OpenTofu and Ansible
        for name in re.findall(r"`(signalcraft_[a-z_]+[a-z])\b", text):
            if name not in names and not any(one.startswith(name) for one in names):
                lost.append(f"{page}: {name}")
    assert lost == []


def test_every_code_of_an_error_has_an_entry_in_the_troubleshooting() -> None:
    codes = set(re.findall(r'<a id="(\w+)">', (ROOT / "docs/reference/errors.md").read_text("utf-8")))
    assert len(codes) > 30
    entries = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/how-to/troubleshoot.md").read_text("utf-8"), re.MULTILINE)
    assert len(entries) == len(set(entries))
    assert set(entries) == codes
