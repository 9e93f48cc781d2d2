"""Reference pages that are drawn from the program are as the program is now; `make gen` draws them."""

from __future__ import annotations

import re

from tests.house import bounds, columns, database
from tests.house.tree import ROOT


def test_every_table_and_column_has_a_sentence() -> None:
    tables = database.tables()
    schema = (ROOT / "signalcraft/storage/schema.sql").read_text("utf-8")
    assert {table.name for table in tables} == set(re.findall(r"^CREATE TABLE (\w+)", schema, re.MULTILINE))
    assert [f"{t.name}.{c.name}" for t in tables for c in t.columns if not c.said] == []
    assert [table.name for table in tables if not table.said] == []
    known = {f"{table.name}.{column.name}" for table in tables for column in table.columns}
    assert len(known) > 350
    assert set(columns.COLUMNS) - known == set()
    assert set(columns.TABLES) - {table.name for table in tables} == set()


def test_every_column_of_the_schema_is_on_the_page() -> None:
    """Read the other way: from the schema that the migrations add up to."""
    schema = (ROOT / "signalcraft/storage/schema.sql").read_text("utf-8")
    told = {table.name: {column.name for column in table.columns} for table in database.tables()}
    for name, body in re.findall(r"^CREATE TABLE (\w+) \((.*?)\) strict", schema, re.MULTILINE | re.DOTALL):
        there = set(re.findall(r"^[ ,]*(\w+) (?:integer|text|blob|real)\b", body, re.MULTILINE))
        assert there == told[name], name


def test_the_page_of_the_database_is_drawn() -> None:
    assert (ROOT / database.PAGE).read_text("utf-8") == database.page(), "make gen"


def test_the_page_of_the_limits_is_drawn() -> None:
    assert (ROOT / bounds.PAGE).read_text("utf-8") == bounds.page(), "make gen"
    assert len(list(bounds.fixed())) > 30


def test_make_gen_draws_them() -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8")
    for page, module in ((database.PAGE, "tests.house.database"), (bounds.PAGE, "tests.house.bounds")):
        assert f"draw {page} {module}\n" in recipe
