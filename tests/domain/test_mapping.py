"""Where in somebody's JSON the fields of an alert stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain import mapping
from signalcraft.domain.event import Event, HttpInbound, bounded
from signalcraft.domain.severity import Severity
from signalcraft.errors import Unreadable
from signalcraft.sources import generic

BODY = {"a": {"b": [{"c": 1}, {"c": "two"}], "x.y": "dotted", "x.y.z": {"w": 3}}, "a.b": "whole"}


def read(body: Any, **config: Any) -> list[Event]:
    raw = json.dumps(body).encode()
    settings = generic.Config(**config)
    assert generic.check(settings) == []
    return [bounded(event) for event in generic.read(settings, HttpInbound("POST", "", "", {}, raw), 0)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", "whole"), ("a.b.1.c", "two"), ("a.b.0.c", 1), ("a.x.y", "dotted"), ("a.x.y.z.w", 3), ("a.b.2.c", None),
        ("a.b.-1.c", None), ("a.c", None), ("nothing", None), ("a.b.0.c.d", None),
    ],
)  # fmt: skip
def test_paths(path: str, value: Any) -> None:
    assert mapping.found(BODY, path) == value


JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(JSON, st.text())
def test_no_path_and_no_body_breaks_it(body: Any, path: str) -> None:
    mapping.found(body, path)


def test_long_paths_end() -> None:
    assert mapping.found({"a": {"a": 1}}, ".".join("a" * 400)) is None


def test_a_mapping_finds_its_fields_and_leaves_the_rest_as_it_was() -> None:
    body = {"incident": {"name": "DB down", "sev": "SEV1"}, "status": "ongoing", "tags": {"region": "eu"}, "n": 7}
    (event,) = read(
        body,
        mapping={
            "title": "incident.name", "severity": "incident.sev", "environment": "=prod", "users": "n",
            "tags.number": "n", "project": "not.there",
        },
        words={"Sev1": "critical"},
    )  # fmt: skip
    assert (event.title, event.severity, event.environment) == ("DB down", Severity.CRITICAL, "prod")
    assert (event.users, event.project, event.status) == (7, None, "firing")
    assert event.tags == {"region": "eu", "number": "7"}


def test_an_array_inside_is_read_member_by_member_with_what_stands_around_it() -> None:
    body = {"site": "berlin", "hits": [{"t": "one"}, {"t": "two", "over": "done"}]}
    first, second = read(
        body,
        mapping={"each": "hits", "title": "t", "status": "over", "project": "site"},
        words={"done": "resolved"},
    )
    assert (first.title, first.project, first.status) == ("one", "berlin", "firing")
    assert (second.title, second.project, second.status) == ("two", "berlin", "resolved")


def test_without_the_array_the_body_is_one_alert() -> None:
    (event,) = read({"title": "alone"}, mapping={"each": "hits"})
    assert event.title == "alone"
    with pytest.raises(Unreadable, match="no title"):
        read({"hits": [{"t": "one"}, {}]}, mapping={"each": "hits", "title": "t"})


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"mapping": {"titel": "a"}}, "mapping.titel"), ({"mapping": {"title": ""}}, "mapping.title"),
        ({"mapping": {"each": "=x"}}, "mapping.each"), ({"mapping": {"tags.": "x"}}, "mapping.tags."),
        ({"words": {"sev1": "bad"}}, "words.sev1"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(config: dict[str, Any], where: str) -> None:
    assert [path for path, _ in generic.check(generic.Config(**config))] == [where]
