"""The search language: what is read of it, what is refused and where, and that showing and reading come round."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signalcraft.domain import search
from signalcraft.domain.search import Search, Term, Unsearchable, Value, parse, show
from tests.conftest import ROOT

CASES: list[tuple[str, list[dict[str, Any]]]] = json.loads(
    (ROOT / "tests" / "domain" / "search_cases.json").read_text(encoding="utf-8")
)
"""Also read by the tests of the dashboard, whose chips split a search in the same way."""


def plain(term: Term) -> dict[str, Any]:
    found: dict[str, Any] = {"key": term.key, "values": [[value.kind, value.text] for value in term.values]}
    if term.op != "in":
        found["op"] = term.op
    if term.tag:
        found["tag"] = term.tag
    if term.negated:
        found["negated"] = True
    return found


@pytest.mark.parametrize(("text", "terms"), CASES, ids=[case[0] for case in CASES])
def test_a_search_is_read_as(text: str, terms: list[dict[str, Any]]) -> None:
    assert [plain(term) for term in parse(text).terms] == terms


def test_what_has_a_number_knows_it() -> None:
    found = parse("severity:critical count>007 seen<90s age>2w")
    assert [term.values[0].number for term in found.terms] == [4, 7, 90_000, 2 * 7 * 86_400_000]
    assert show(found) == "severity:critical count>7 seen<90s age>2w"


@pytest.mark.parametrize(
    ("text", "position", "length", "words"),
    [
        ("a severity>=urgent", 12, 6, "'urgent' is not one of info"),
        ("severity:", 9, 1, "missing"),
        ("severity:high,", 14, 1, "missing"),
        ("severity:high, low", 14, 1, "missing"),
        ("severity>high,low", 9, 8, "one value"),
        ("status>open", 0, 7, "no order"),
        ("project>=api", 0, 9, "no order"),
        ("status:closed", 7, 6, "open, acknowledged"),
        ("porject:api", 0, 7, "did you mean project?"),
        ("std::vector", 0, 3, "in quotes"),
        ("a https://example.com", 2, 5, "in quotes"),
        ("tag:x", 0, 4, "tag.release"),
        ("tag.:x", 0, 5, "tag.release"),
        ('"never closed', 0, 13, "never closed"),
        ('project:"a" project:"b', 20, 2, "never closed"),
        ('"a"b', 3, 1, "space is missing"),
        ('project:a"b"', 9, 1, "space is missing"),
        ('""', 0, 2, "nothing between"),
        ('project:" "', 8, 1, "missing"),
        ("seen:2h", 0, 5, "compared"),
        ("seen<2", 5, 1, "span"),
        ("seen<99999d", 5, 6, "span"),
        ("count>many", 6, 4, "whole number"),
        ("count>²", 6, 1, "whole number"),
        ("count>-1", 6, 2, "whole number"),
        ("a OR b", 2, 2, "no OR"),
        ("x" * 1001, 1000, 1, "1000"),
        ("a " * 33, 64, 1, "32 words"),
        ("project:" + ",".join(["a"] * 51), 108, 1, "50 values"),
    ],
)
def test_what_cannot_be_read_says_why_and_where(text: str, position: int, length: int, words: str) -> None:
    with pytest.raises(Unsearchable) as caught:
        parse(text)
    assert caught.value.extra == {"position": position, "length": length}
    assert words in caught.value.detail
    assert caught.value.detail.endswith(f"(at character {position + 1})")
    assert caught.value.errors == (("search", caught.value.detail),)


def test_who_asks_matters_only_where_me_is_asked_for() -> None:
    assert parse("assignee:Kim,me").asks_for_me
    assert not parse('assignee:"me" me').asks_for_me


LETTERS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(lambda text: text.strip() != "")
NAMED = ("project", "environment", "source", "assignee", "title", "message", "tag")


@st.composite
def values(draw: st.DrawFn, key: str) -> Value:
    how = search.KEYS[key]
    kinds: list[search.Kind] = ["is", *how.special]
    if how.like:
        kinds.append("like")
    kind = draw(st.sampled_from(kinds))
    if kind in ("none", "me"):
        return Value("", kind)
    text = draw(LETTERS)
    if kind == "like":
        bare = "".join(c for c in text if not c.isspace() and c not in ',"*')
        return Value(f"{bare}*", "like")
    return Value(text)


@st.composite
def terms(draw: st.DrawFn) -> Term:
    negated = draw(st.booleans())
    key = draw(st.sampled_from([search.TEXT, *search.KEYS]))
    if key == search.TEXT:
        return Term(key=key, values=(Value(draw(LETTERS)),), negated=negated)
    if key in NAMED:
        found = draw(st.lists(values(key), min_size=1, max_size=3, unique=True))
        return Term(key=key, values=tuple(found), tag=draw(LETTERS) if key == "tag" else "", negated=negated)
    span = st.builds("{}{}".format, st.integers(0, 500), st.sampled_from("smhdw"))
    word = {
        "severity": st.sampled_from(["info", "low", "critical"]),
        "status": st.sampled_from(list(search.STATUSES)),
        "count": st.integers(0, search.NUMBER_MAX).map(str),
        "users": st.integers(0, 99).map(str),
    }.get(key, span)
    how = search.KEYS[key]
    assert how.read is not None
    op = draw(st.sampled_from(["in"] * how.listed + [">", ">=", "<", "<="] * how.ordered))
    value = how.read(draw(word))
    assert value is not None
    return Term(key=key, op=op, values=(value,), negated=negated)  # type: ignore[arg-type]


@given(st.lists(terms(), max_size=5))
def test_a_search_that_is_shown_is_read_as_the_same(found: list[Term]) -> None:
    text = show(Search(tuple(found)))
    assert parse(text).terms == tuple(found)


PIECES = st.sampled_from(
    ["severity", "project", "tag", ".", ":", ">=", "<", "!=", "=", ",", '"', "\\", "-", " ", "*", "none", "me", "high"]
)


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=15).map("".join)))
@example('-"')
@example("tag.")
@example("tag.x")
def test_any_text_is_read_or_refused_at_a_place_in_it_and_comes_round(text: str) -> None:
    refused: Unsearchable | None = None
    try:
        found = parse(text)
    except Unsearchable as fault:
        refused = fault
    if refused is not None:
        assert 0 <= refused.extra["position"] <= len(text)
        assert refused.extra["length"] >= 1
        return
    assert parse(show(found)) == found
    assert show(parse(show(found))) == show(found)
