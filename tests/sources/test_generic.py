"""The generic webhook beyond its fixture files: words, forms, statements, and bodies nobody should send."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain.event import Event, HttpInbound, bounded
from signalcraft.domain.severity import Severity
from signalcraft.errors import Unreadable
from signalcraft.sources import generic

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def read(body: Any, content_type: str = JSON, config: generic.Config | None = None, **headers: str) -> list[Event]:
    """The events of a body, as ingest would keep them."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()} | {"content-type": content_type}
    config = config or generic.Config()
    return [bounded(event) for event in generic.read(config, HttpInbound("POST", "", "", names, raw), 0)]


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        ("critical disaster P1 fatal emergency", Severity.CRITICAL), ("high error major P2", Severity.HIGH),
        ("medium warning average P3 warn", Severity.MEDIUM), ("low minor P4", Severity.LOW),
        ("info P5 informational debug", Severity.INFO), ("CRITICAL Critical", Severity.CRITICAL),
        ("purple p6 none -", None),
    ],
)  # fmt: skip
def test_severity_words(words: str, severity: Severity | None) -> None:
    for word in words.split():
        (event,) = read({"title": "T", "severity": word})
        assert (event.severity, event.status) == (severity, "firing"), word


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("resolved ok closed up recovered inactive RESOLVED OK normal clear green", "resolved"),
        ("firing alerting triggered open down problem active critical wobbly", "firing"),
    ],
)
def test_status_words(words: str, status: str) -> None:
    for word in words.split():
        for name in ("status", "state", "current_state"):
            (event,) = read({"title": "T", name: word})
            assert (event.kind, event.status) == ("alert", status), word


def test_states_of_zero_and_one() -> None:
    assert [event.status for event in read([{"title": "T", "status": 0}, {"title": "T", "status": 1}])] == [
        "resolved",
        "firing",
    ]


def test_a_documented_name_goes_before_what_others_call_it() -> None:
    others = {"name": "N", "text": "x", "url": "https://a.example/"}
    (event,) = read(others | {"title": "T", "message": "M", "link": "https://b.example/"})
    assert (event.title, event.message, event.link) == ("T", "M", "https://b.example/")


@pytest.mark.parametrize("content_type", [JSON, "text/plain; charset=utf-8", FORM, "", "application/octet-stream"])
def test_json_is_json_under_any_type(content_type: str) -> None:
    """curl -d says "form" whatever it sends."""
    (event,) = read({"title": "payload=x"}, content_type)
    assert event.title == "payload=x"


def test_json_in_a_form_field() -> None:
    form = urlencode({"channel": "x", "payload": json.dumps({"title": "Größe & co"})}).encode()
    assert [event.title for event in read(form, FORM)] == ["Größe & co"]
    assert [event.title for event in read(urlencode({"payload": '[{"title": "T"}]'}).encode(), "text/plain")] == ["T"]


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"7", b'"just a text"', b"Disk full on web-3", b"{}", b'{"status": "firing"}', b'{"title": ""}',
     b"[[]]", b'[{"title": "T"}, 5]', b'[{"title": "T"}, {}]', b"payload=", b"payload=%7B", b"payload=%ff",
     b"payload=hello", b"a=1&b=2",
     b"[" * 50_000, b'{"title": NaN}', b"\xff", b'{"title": ["T"]}'],
)  # fmt: skip
@pytest.mark.parametrize("content_type", [JSON, "text/plain", FORM])
def test_what_is_quarantined(body: bytes, content_type: str) -> None:
    with pytest.raises(Unreadable):
        read(body, content_type)


def test_the_fault_names_the_member() -> None:
    with pytest.raises(Unreadable) as fault:
        read([{"title": "T"}, {"nothing": 1}])
    assert fault.value.path == "[1]"


def test_statements_of_a_signed_delivery_are_its_id() -> None:
    config = generic.Config(secret="s")
    signed = {"webhook_id": "msg_1", "webhook_signature": "v1,checked-already"}
    assert [e.delivery_key for e in read({"title": "T"}, JSON, config, **signed)] == ["webhook:msg_1"]
    batch = read([{"title": "T"}, {"title": "T"}], JSON, config, **signed)
    assert [e.delivery_key for e in batch] == ["webhook:msg_1:0", "webhook:msg_1:1"]
    # Without a secret nobody has checked the header, so it cannot make two statements one.
    assert [e.delivery_key for e in read({"title": "T"}, JSON, None, **signed)] == [None]


def test_statements_that_name_themselves() -> None:
    keys = [
        read({"title": "T", "event_id": "e1", "status": status})[0].delivery_key
        for status in ("firing", "firing", "resolved", "acknowledged")
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert read({"title": "T", "id": "5"})[0].delivery_key is None  # an id may be the problem's, not the statement's
    assert read({"title": "T", "delivery_id": "d"})[0].source_event_id is None


def test_a_default_severity_is_for_what_names_none() -> None:
    config = generic.Config(default_severity="high")
    low, none = read([{"title": "T", "severity": "low"}, {"title": "T"}], config=config)
    assert (low.severity, none.severity) == (Severity.LOW, Severity.HIGH)


def test_where_something_is_does_not_fold_what_it_is() -> None:
    """Host and service are the identity only of what has no title and no key of its own."""
    disk, load = read([{"title": title, "host": "web-3", "service": "os"} for title in ("Disk", "Load")])
    assert (disk.dedup_key, load.dedup_key) == (None, None)
    assert disk.tags == {"host": "web-3", "service": "os"}


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "ftp://x.example/", "/relative", "", 5, None, ["https://x.example/"]]
)
def test_links_are_web_addresses_or_none(link: Any) -> None:
    assert read({"title": "T", "link": link})[0].link is None


NAMES = (
    "title", "name", "message", "severity", "status", "state", "project", "environment", "dedup_key", "link", "url",
    "tags", "labels", "occurred_at", "timestamp", "users", "source_event_id", "event_id", "host", "service",
    "check_params", "alert_uid", "ended_at",
)  # fmt: skip
ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
              st.text(), st.sampled_from(["resolved", "critical", "0", "2026-03-02T09:21:07Z", "https://x.example/"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip


@given(
    st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from([JSON, FORM, "text/plain"])
)
def test_anything_is_read_or_quarantined(raw: bytes, content_type: str) -> None:
    for body in (raw, b"payload=" + raw):
        try:
            events = read(body, content_type, generic.Config(default_severity="low"))
        except Unreadable:
            continue
        for event in events:
            assert event.title or event.dedup_key
            assert isinstance(event.message, str)
            assert all(isinstance(k, str) and isinstance(v, str) for k, v in event.tags.items())
            assert event.users is None or event.users >= 0
            assert event.link is None or event.link.lower().startswith("http")


@given(st.dictionaries(st.sampled_from(NAMES), ANY_JSON, max_size=8))
def test_an_object_with_a_title_is_always_read(body: dict[str, Any]) -> None:
    (event,) = read({**body, "title": "T"})
    assert event.title == "T"
