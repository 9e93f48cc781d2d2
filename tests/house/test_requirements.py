"""The page of requirements holds all 169 rows, and what each says of itself is there."""

from __future__ import annotations

from tests.gate import rows


def test_every_row_is_there_with_its_state_and_its_tests_exist() -> None:
    """What is still open is for `make gate` to refuse."""
    faults = [one for one in rows.wrong(rows.read(rows.PAGE.read_text("utf-8"))) if not one.is_open]
    assert faults == []
