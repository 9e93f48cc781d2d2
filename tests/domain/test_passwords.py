"""Which passwords are taken and which are not: a matrix, and what must hold for all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain.passwords import LENGTH_MAX, LENGTH_MIN, check, prepared, weakness
from signalcraft.errors import Invalid

EMAIL, NAME = "sam.smith@example.com", "Sam Smith"

_GUESSABLE = """
123456789012 1234567890123 987654321098 111111111111 000000000000 11112222333344 password1234 passwordpassword
Password123! Passw0rd1234 P@ssw0rd1234 Passw0rd2024! qwertyuiop12 qwertyuiopasdfghjkl qwerty123456 qwerty1234567890
1q2w3e4r5t6y 1qaz2wsx3edc q1w2e3r4t5y6 zaq12wsxcde3 qazwsxedcrfv 1qazxsw23edc 123qweasdzxc asdf1234asdf 1234qwerasdf
asdfghjkl123 zxcvbnm12345 asdfasdfasdf adminadmin123 administrator rootrootroot1 testtesttest1 iloveyou1234
iloveyouforever letmein12345 letmeinplease letmeinnow123 welcome12345 Welcome2024! Summer2024!! Winter2025!!
november2024 changeme1234 changemenow12 abc123abc123 abcdefghijkl superman1234 football1234 basketball12 spongebob123
trustno1trustno1 thisisapassword mypassword123 supersecret123 liverpool123 manchesterunited harrypotter1 princess1234
sunshine1234 michaeljordan unbelievable congratulations jessica123456 alexander123 christopher1 monkeymonkey12
dragondragon1 correcthorsebatterystaple Correct-Horse-Battery-Staple !@#$%^&*()_+
"""

GOOD = (
    "tractor-lunar-vivid",
    "brisk otter battery quilt",
    "xK9#mQ2$vL7!",
    "the otter ate my umbrella",
    "blue-Kettle7-fjord",
    "Trombone&Gravel",
    "zuversicht mit kuchen",
    "пароль-который-длинный",
    "密码密码很长的一句话没有人知道",
    "🦦🚜🌙 three of them 🎺",
)


@pytest.mark.parametrize("password", _GUESSABLE.split())
def test_what_anybody_would_guess_is_refused(password: str) -> None:
    assert weakness(password, EMAIL, NAME)


@pytest.mark.parametrize("password", GOOD)
def test_what_nobody_would_guess_is_taken(password: str) -> None:
    assert weakness(password, EMAIL, NAME) == ""


@pytest.mark.parametrize(
    "password",
    ["sam.smith@example.com", "samsmith-2026", "SmithSam19841985", "example.com-sam", "signalcraft-2026",
     "SignalCraft!!!!", "5ignalcr4ft-sam"],
)  # fmt: skip
def test_it_is_neither_oneself_nor_the_product(password: str) -> None:
    assert "easy to guess" in weakness(password, EMAIL, NAME)


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("short-1xQ", "at least 12"),
        ("x1Q-" * 65, "at most 256"),
        ("aaaaaaaaaaaaa", "over and over"),
        ("abababababababab", "over and over"),
        ("fjordkfjordk", "over and over"),
    ],
)
def test_it_says_what_is_wrong(password: str, said: str) -> None:
    assert said in weakness(password, EMAIL, NAME)
    with pytest.raises(Invalid) as caught:
        check(password, EMAIL, NAME, "new")
    assert caught.value.path == "new"


def test_length_counts_characters_not_bytes() -> None:
    assert "at least" in weakness("🦦🚜🌙🎺", EMAIL, NAME)
    assert weakness("xK9#mQ2$vL7!" * 1 + "é" * 244, EMAIL, NAME) == ""


@given(st.text(max_size=LENGTH_MIN - 1))
def test_nothing_short_is_taken(password: str) -> None:
    if len(prepared(password)) < LENGTH_MIN:
        assert weakness(password, EMAIL, NAME)


@given(st.text(max_size=LENGTH_MAX + 20))
def test_any_text_has_an_answer_and_what_is_taken_stays_within_bounds(password: str) -> None:
    if weakness(password, EMAIL, NAME) == "":
        assert LENGTH_MIN <= len(prepared(password)) <= LENGTH_MAX


def test_one_password_typed_on_two_keyboards_is_one_password() -> None:
    assert prepared("Zu\u0308rich") == prepared("Z\u00fcrich")
