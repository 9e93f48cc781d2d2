"""Links that act without signing in: what they allow, for how long, and that nobody can make or change one."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain import links
from signalcraft.domain.links import Link
from signalcraft.errors import Invalid

KEY = b"k" * 32
NOW = 1_772_359_200_000
TOKEN = links.sign(KEY, 4711, 12, "ack", NOW + 1)
row = st.integers(0, 2**63 - 1)


@given(
    group=row, channel=row, verb=st.sampled_from(["ack", "snooze", "resolve", "unsnooze"]), life=st.integers(1, 10**12)
)
def test_what_was_signed_is_read(group: int, channel: int, verb: str, life: int) -> None:
    token = links.sign(KEY, group, channel, verb, NOW + life)
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")
    assert len(token) == 56
    assert links.read(KEY, token, NOW) == Link(group, channel, verb, NOW + life)


@pytest.mark.parametrize("verb", ["", "delete", "ACK"])
def test_no_other_verb_is_signed(verb: str) -> None:
    with pytest.raises(Invalid):
        links.sign(KEY, 1, 1, verb, NOW)


def test_it_ends_at_its_time() -> None:
    assert links.read(KEY, TOKEN, NOW).verb == "ack"
    for late in (1, 2, 10**12):
        with pytest.raises(Invalid, match=r"^expired$"):
            links.read(KEY, TOKEN, NOW + late)


@pytest.mark.parametrize("place", range(56))
def test_no_character_can_be_another(place: int) -> None:
    for other in string.ascii_letters + string.digits + "-_":
        if other != TOKEN[place]:
            with pytest.raises(Invalid, match=r"^wrong$"):
                links.read(KEY, TOKEN[:place] + other + TOKEN[place + 1 :], NOW)


@pytest.mark.parametrize(
    "token",
    [
        "",
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + "=",
        TOKEN + "\n",
        " " + TOKEN[1:],
        TOKEN[:-1] + "+",
        "é" * 56,
        "\x00" * 56,
        TOKEN * 2,
    ],
)
def test_no_other_text_is_a_token(token: str) -> None:
    with pytest.raises(Invalid, match=r"^wrong$"):
        links.read(KEY, token, NOW)


def test_another_key_reads_nothing() -> None:
    for key in (b"", b"k" * 31, b"K" * 32):
        with pytest.raises(Invalid, match=r"^wrong$"):
            links.read(key, TOKEN, NOW)


def test_a_wrong_token_is_not_said_to_be_expired() -> None:
    """Whether a guess was once right is nobody's business."""
    forged = ("A" if TOKEN[0] != "A" else "B") + TOKEN[1:]
    with pytest.raises(Invalid, match=r"^wrong$"):
        links.read(KEY, forged, NOW + 10**12)


@given(text=st.text(max_size=80))
def test_any_text_is_read_or_wrong(text: str) -> None:
    with pytest.raises(Invalid):
        links.read(KEY, text, NOW)


@given(share=row, life=st.integers(1, 10**12))
def test_a_shared_link_is_read_until_its_time_and_no_longer(share: int, life: int) -> None:
    token = links.sign_share(KEY, share, NOW + life)
    assert len(token) == 44
    assert links.read_share(KEY, token, NOW + life - 1) == share
    with pytest.raises(Invalid, match=r"^expired$"):
        links.read_share(KEY, token, NOW + life)
    for key, text in (
        (b"x" * 32, token),
        (KEY, token[:-1]),
        (KEY, TOKEN),
        (KEY, ("B" if token[0] == "A" else "A") + token[1:]),
    ):
        with pytest.raises(Invalid, match=r"^wrong$"):
            links.read_share(key, text, NOW)
