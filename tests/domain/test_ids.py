"""Ids: they grow with time, and their text sorts as they do."""

from __future__ import annotations

import pytest

from signalcraft.domain import ids
from signalcraft.errors import NotFound

AT_MS = 1_800_000_000_000


def test_a_text_is_an_ids_and_sorts_as_it_does() -> None:
    numbers = [0, 1, ids.floor(AT_MS), ids.floor(AT_MS) + 1, ids.floor(AT_MS + 1), (1 << 63) - 1]
    texts = [ids.show(number) for number in numbers]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {13}
    assert [ids.parse(text) for text in texts] == [ids.parse(text.upper()) for text in texts] == numbers


@pytest.mark.parametrize("text", ["", "0" * 12, "0" * 14, "u" * 13, "z" * 13, "000000000000-"])
def test_what_no_id_looks_like_is_not_found(text: str) -> None:
    with pytest.raises(NotFound, match="no such id"):
        ids.parse(text)


def test_a_mint_only_grows() -> None:
    mint = ids.Mint()
    first = mint.next(AT_MS)
    assert ids.at_ms(first) == AT_MS
    assert mint.next(AT_MS) == first + 1
    assert mint.next(AT_MS - 5_000) == first + 2  # the clock stepped back
    assert mint.next(AT_MS + 1) == ids.floor(AT_MS + 1)
    assert ids.Mint(first).next(0) == first + 1
    assert ids.floor(0) == 0
