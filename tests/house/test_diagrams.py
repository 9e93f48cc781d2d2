"""Mermaid diagrams: of a kind that is known, balanced, with every end of an arrow spelled; and their pictures."""

from __future__ import annotations

import re

from signalcraft.http.manual import drawing
from tests.house.test_blocks import Block, of
from tests.house.tree import ROOT

PAGE = "docs/explanation/architecture.md"
WANTED = ("system", "components", "data-flow", "integrations", "schema", "signing-in", "real-time", "caching")
_ARROW = r"(?:--+>|-\.+->|---+|-->>|->>)"


def problem(block: Block) -> str:
    """What is wrong with a diagram, "" for nothing: as much of the grammar as we use."""
    lines = [line.strip() for line in block.text.strip().splitlines() if not line.strip().startswith("%%")]
    kind = lines[0].split()[0]
    if kind == "flowchart":
        return _flowchart(lines)
    if kind == "sequenceDiagram":
        return _sequence(lines[1:])
    if kind == "erDiagram":
        shape = r'[A-Z_]+ (?:\|\||\}o|o\||\}\|)--(?:o\{|\|\||\|\{|o\|) [A-Z_]+ : (?:\w+|"[^"]+")'
        return next((line for line in lines[1:] if not re.fullmatch(shape, line)), "")
    return f"nobody knows {kind}"


def _flowchart(lines: list[str]) -> str:
    if not re.fullmatch(r"flowchart (LR|TB|TD|RL|BT)", lines[0]):
        return lines[0]
    node = r"\w+(?:\[\(.+?\)\]|\[[^\[\]]+\]|\{[^{}]+\}|\([^()]+\))?"
    link = r"(?: -- [^-]+ -->| -\. [^.]+ \.->| -->| ---)"
    statement = re.compile(rf"{node}(?:{link} {node})*")
    depth = 0
    for line in lines[1:]:
        if line == "end":
            depth -= 1
        elif re.fullmatch(r"subgraph \w+(?: \[[^\]]+\])?", line):
            depth += 1
        elif not re.fullmatch(r"direction (LR|TB)", line) and not statement.fullmatch(line):
            return line
        if depth < 0:
            return "an end too many"
    return "an end is missing" if depth else ""


def _sequence(lines: list[str]) -> str:
    known: set[str] = set()
    depth = 0
    for line in lines:
        if named := re.fullmatch(r"(?:participant|actor) (\w+) as .+", line):
            known.add(named[1])
        elif said := re.fullmatch(r"(\w+)(?:->>|-->>)(\w+): .+", line):
            if not {said[1], said[2]} <= known:
                return line
        elif noted := re.fullmatch(r"Note over (\w+),(\w+): .+", line):
            if not {noted[1], noted[2]} <= known:
                return line
        elif re.match(r"(alt|opt|loop) ", line):
            depth += 1
        elif line == "end":
            depth -= 1
        else:
            return line
    return "an end is missing" if depth else ""


def test_every_diagram_is_well_formed() -> None:
    assert len(of("mermaid")) >= len(WANTED)
    assert [f"{block.where}: {wrong}" for block in of("mermaid") if (wrong := problem(block))] == []


def test_what_is_not_well_formed_is_found() -> None:
    """The check itself."""
    for text in (
        "flowchart LR\n    a[one --> b[two]",
        "flowchart LR\n    subgraph x\n    a --> b",
        "sequenceDiagram\n    participant A as a\n    A->>B: to nobody",
        "erDiagram\n    A ||--{ B : has",
        "pie\n    a",
    ):
        assert problem(Block("", "mermaid", text, ""))


def test_the_architecture_has_a_diagram_of_everything_that_is_asked_for() -> None:
    sections = re.split(r"^## ", (ROOT / PAGE).read_text("utf-8"), flags=re.MULTILINE)[1:]
    drawn = {drawing.slug(one.splitlines()[0]) for one in sections if "```mermaid" in one}
    assert {re.sub(r"^the-", "", name) for name in drawn} == set(WANTED)


def test_every_picture_is_of_a_diagram_as_it_is_now() -> None:
    """Drawn by Mermaid itself (tests/e2e/diagrams.py). A changed one is shown as text until it is drawn again."""
    drawn = {path.name for path in (ROOT / "docs/images/diagrams").glob("*.svg")}
    wanted = {drawing.diagram(block.text).rpartition("/")[2] for block in of("mermaid")}
    assert drawn - wanted == set(), "pictures of diagrams that are no more: python -m tests.e2e.diagrams"
    assert drawing.drawn(PAGE.removeprefix("docs/")).count("<figure><img") == len(drawn & wanted) > 0


def test_no_picture_acts_or_loads_anything() -> None:
    for path in (ROOT / "docs/images/diagrams").glob("*.svg"):
        text = path.read_text("utf-8")
        assert re.findall(r"<script|<foreignObject|\son\w+=|href=\"(?!#)|url\((?!#)", text) == [], path.name
