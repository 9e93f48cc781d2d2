"""One person in texts and records: found whole, replaced, and nobody else with them."""

from __future__ import annotations

import json

import pytest

from signalcraft.domain.subject import ERASED, GONE, Subject

SAM = Subject({"06m2n8kq1v000", "U024BE7LH"}, {"Sam@Example.com", "U024BE7LH"}, {"Sam Doe"}, "c0de")
WHO = {"kind": "user", "id": "erased-c0de", "name": ERASED}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mail sam@example.com now", f"mail {GONE} now"),
        ("SAM@EXAMPLE.COM", GONE),
        ("<@U024BE7LH> look", f"<@{GONE}> look"),
        ("?user=sam%40example.com&x=1", f"?user={GONE}&x=1"),
        (r'{"email":"sam\u0040example.com"}', f'{{"email":"{GONE}"}}'),
        ("sam@example.com.", f"{GONE}."),
        ("adsam@example.com", "adsam@example.com"),
        ("x.sam@example.com", "x.sam@example.com"),
        ("sam@example.com.au", "sam@example.com.au"),
        ("sam@example.community", "sam@example.community"),
        ("U024BE7LHX", "U024BE7LHX"),
        ("Sam Doe said", "Sam Doe said"),  # a name inside of others' texts may be anybody's
    ],
)
def test_a_mark_is_found_whole(before: str, after: str) -> None:
    assert SAM.text(before) == after
    assert SAM.bytes(before.encode()) == after.encode()


def test_bytes_that_are_no_text_stay() -> None:
    assert SAM.bytes(b"\xff\xfe sam@example.com \x00") == b"\xff\xfe " + GONE.encode() + b" \x00"


def test_a_name_goes_where_it_is_all_there_is_or_we_said_it() -> None:
    assert SAM.name("Sam Doe") == ERASED
    assert SAM.name("Sam Doevre") == "Sam Doevre"
    assert SAM.sentence("last time Sam Doe resolved it after 3 minutes") == (
        f"last time {ERASED} resolved it after 3 minutes"
    )
    assert SAM.sentence("Sam Doevre") == "Sam Doevre"


@pytest.mark.parametrize(
    ("actor", "theirs"),
    [
        ({"kind": "user", "id": "06m2n8kq1v000", "name": "Sam Doe"}, True),
        ({"kind": "slack", "id": "U024BE7LH", "name": "sam"}, True),
        ({"kind": "source", "id": "sentry", "name": "Sam Doe"}, True),
        ({"kind": "slack", "id": "U999", "name": "Sam Doe"}, False),
        ({"kind": "system", "id": "signalcraft", "name": "SignalCraft"}, False),
    ],
)
def test_an_actor_is_known_by_id(actor: dict[str, str], theirs: bool) -> None:
    text = json.dumps(actor)
    assert json.loads(SAM.who(text)) == (WHO if theirs else {**actor, "name": SAM.name(actor["name"])})


def test_the_data_of_a_line_keeps_its_shape() -> None:
    before = {
        "person": "06m2n8kq1v000", "address": "192.0.2.7", "user_agent": "Firefox", "from": "Sam Doe", "to": "Kim",
        "list": ["sam@example.com", 3, None, True],
    }  # fmt: skip
    assert json.loads(SAM.data(json.dumps(before))) == {
        "person": "erased-c0de", "address": GONE, "user_agent": GONE, "from": ERASED, "to": "Kim",
        "list": [GONE, 3, None, True],
    }  # fmt: skip
    others = json.dumps({"person": "other", "address": "192.0.2.8", "note": "Kim"})
    assert SAM.data(others) == others
    assert json.loads(SAM.data(others, theirs=True))["address"] == GONE


def test_nobody_is_found_where_nothing_is_known() -> None:
    empty = Subject((), ("x@y",), (), "c")
    assert empty.marks == ()
    assert empty.text("anything x@y") == "anything x@y"
    assert empty.sentence("anything") == "anything"
