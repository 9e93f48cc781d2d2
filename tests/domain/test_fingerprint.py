"""Fingerprints, group keys and statement keys: stable for ever, blind to case and outer spaces, never run together."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain import fingerprint
from signalcraft.domain.event import Event

TEXTS = st.text(max_size=40)
PARTS = st.one_of(st.none(), TEXTS)
PADDED = st.text(alphabet=string.ascii_letters + string.digits + "|:-_/ é", max_size=30)


# What is in databases of people. Where one of these fails, the change needs a new VERSION and a migration.
FROZEN_GROUP_KEYS = [
    (("sentry", "shop", "prod", "1001"), "v1:667bd8cb98273c0268fc99f4e1697f899fdcde1bacb2525be56a33ecf03a9c07"),
    (("sentry", None, None, "1001"), "v1:30a1623b969bb4ec424f807cc56d6dcd066655fff99fc3cf92d7ce6a6f69290c"),
    (("generic:42", "Größe", "prod", "a|b"), "v1:8b171190579b77747b9fbbbb0aa51982015601255563c656594bca4465a4bfd9"),
    (
        ("sentry", "shop", None, "metric_alert:77"),
        "v1:ab43516b307fba1527214e8a9407c9e353983acbc293ffd474cae08febe3e2fc",
    ),
]
FROZEN_IDENTITIES = [(("sentry", "1001"), 6662366876224630150), (("generic:42", "disk"), 1817998480257419091)]
FROZEN_DERIVED = [
    ("shop", "Timeout after 30 s on node-7", "~ff9145dc3bca3e34e3dd1ea3e268dd34"),
    (None, "Größe 0x7fff: deadbeef01", "~fdc63662aea405e01a7ed1308c71d7b2"),
]


def test_version_one_is_frozen() -> None:
    """Keys of the first version come out as they were first stored."""
    assert fingerprint.VERSION == 1
    for parts, key in FROZEN_GROUP_KEYS:
        assert fingerprint.group_key(*parts) == key
    for (scope, print_), number in FROZEN_IDENTITIES:
        assert fingerprint.identity(scope, print_) == number
    for project, title, derived in FROZEN_DERIVED:
        assert fingerprint.fingerprint_of(Event(project=project, title=title)) == derived
    assert fingerprint.payload_key(b"{}").hex() == "2afb9b83f9314e5d029766197f539792"
    assert fingerprint.delivery_key("sentry", "event:1:2").hex() == "5c4acdcfe41010caae66ffec153d6991"


@given(PADDED, PADDED, PADDED, PADDED)
def test_case_and_outer_spaces_do_not_count(scope: str, project: str, environment: str, print_: str) -> None:
    parts = (scope, project, environment, print_)
    key = fingerprint.group_key(*parts)
    assert key == fingerprint.group_key(*(f" \t{part.upper()}\n" for part in parts))
    assert key.startswith("v1:")
    assert len(key) == 3 + 64
    assert fingerprint.identity(scope, print_) == fingerprint.identity(f" {scope.upper()}", f"{print_.lower()} ")


@given(PARTS)
def test_blank_and_none_are_one(part: str | None) -> None:
    if not (part or "").strip():
        assert fingerprint.group_key("s", part, None, "f") == fingerprint.group_key("s", None, "", "f")
    else:
        assert fingerprint.group_key("s", part, None, "f") != fingerprint.group_key("s", None, None, "f")


def _told_apart(parts: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple((part or "").strip().lower() for part in parts)


@given(st.tuples(TEXTS, PARTS, PARTS, TEXTS), st.tuples(TEXTS, PARTS, PARTS, TEXTS))
def test_different_parts_have_different_keys(
    one: tuple[str, str | None, str | None, str], other: tuple[str, str | None, str | None, str]
) -> None:
    same = fingerprint.group_key(*one) == fingerprint.group_key(*other)
    assert same == (_told_apart(one) == _told_apart(other))


@given(st.text(alphabet="ab|:0123456789", min_size=1, max_size=12), st.data())
def test_no_part_runs_over_into_the_next(joined: str, data: st.DataObject) -> None:
    """The same letters, cut at two different places, are two keys: `a|b, c` is not `a, b|c`."""
    one = data.draw(st.integers(0, len(joined)))
    other = data.draw(st.integers(0, len(joined)))
    cut = [(joined[:n], joined[n:]) for n in (one, other)]
    keys = {fingerprint.group_key("s", *pair, "f") for pair in cut}
    assert len(keys) == len(set(cut))
    assert len({fingerprint.delivery_key(*pair) for pair in cut}) == len(set(cut))
    assert len({fingerprint.identity(*pair) for pair in cut}) == len(set(cut))


@given(TEXTS, TEXTS)
def test_identities_fit_a_signed_column(scope: str, print_: str) -> None:
    assert 0 <= fingerprint.identity(scope, print_) < 2**63
    assert fingerprint.identity(scope, print_) == fingerprint.identity(scope, print_)


def test_statement_keys_are_taken_letter_by_letter() -> None:
    assert len(fingerprint.delivery_key("sentry", "a")) == 16
    assert fingerprint.delivery_key("sentry", "a") != fingerprint.delivery_key("sentry", "A")
    assert len(fingerprint.payload_key(b"")) == 16
    assert fingerprint.payload_key(b"{}") != fingerprint.payload_key(b"{ }")


def test_the_sources_word_comes_first_then_the_vendors_then_ours() -> None:
    event = Event(fingerprint="metric_alert:4", dedup_key="4", title="High error rate")
    assert fingerprint.fingerprint_of(event) == "metric_alert:4"
    event.fingerprint = None
    assert fingerprint.fingerprint_of(event) == "4"
    event.dedup_key = None
    derived = fingerprint.fingerprint_of(event)
    assert derived.startswith("~")
    assert len(derived) == 33
    assert derived != fingerprint.fingerprint_of(Event(title="High error rate", project="shop"))
    assert fingerprint.fingerprint_of(Event(message="m")) == fingerprint.fingerprint_of(Event(title="M"))
    assert fingerprint.fingerprint_of(Event()) == fingerprint.fingerprint_of(Event(message=" "))


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("Timeout after 30 s on node-7", "timeout after # s on node-#"),
        ("Order 8c6e4a10-9f3b-4d2a-8c7e-1b2a3c4d5e6f  lost", "order # lost"),
        ("Order 8C6E4A10-9F3B-4D2A-8C7E-1B2A3C4D5E6F lost", "order # lost"),
        ("commit 4f1c2a9bd0 failed", "commit # failed"),
        ("segfault at 0x7ffdeadbeef", "segfault at #"),
        ("  Disk\tfull\n", "disk full"),
        ("defaced facade", "defaced facade"),  # hex letters without a number are words
        ("v1.2.3", "v#.#.#"),
    ],
)
def test_what_varies_in_a_title_does_not_count(title: str, plain: str) -> None:
    assert fingerprint.normalised(title) == plain


@given(st.text(alphabet=string.ascii_letters + " ", max_size=20), st.integers(0, 10**9), st.integers(0, 10**9))
def test_titles_that_differ_in_a_number_fold_together(words: str, one: int, other: int) -> None:
    first, second = (Event(title=f"{words} {n} ms") for n in (one, other))
    assert fingerprint.fingerprint_of(first) == fingerprint.fingerprint_of(second)


@given(TEXTS)
def test_normalising_twice_changes_nothing(title: str) -> None:
    once = fingerprint.normalised(title)
    assert fingerprint.normalised(once) == once
