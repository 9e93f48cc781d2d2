"""What the archive's child process is asked, and what it answers: one line of JSON each."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, field

from signalcraft.storage.archive.manifest import Entry


class Table(Struct, frozen=True):
    """A table as it is archived. `key`: what its rows are deleted by; `at`: the column that says when it was."""

    name: str
    key: str
    at: str
    of_group: str = "group_id"


TABLES: Final[dict[str, Table]] = {
    one.name: one
    for one in (
        Table("event", "id", "received_ms"),
        Table("journal", "id", "at_ms"),
        Table("comment", "id", "created_ms"),
        Table("conversation", "group_id", "coalesce(posted_ms, 0)"),
        Table("share", "id", "created_ms"),
        Table("delivery", "id", "owed_ms"),
        Table("escalation", "id", "due_ms"),
        Table("alert_group", "id", "last_seen_ms", "id"),
        Table("inbox", "id", "received_ms", ""),
        Table("audit", "seq", "at_ms", ""),
    )
}
"""Every table whose rows are archived before they are deleted."""


class Write(Struct, frozen=True, tag="write", kw_only=True):
    """These rows into a new file: `keys`, or those of `groups`; the first ones, up to `rows_max` and `bytes_max`."""

    table: str
    workspace_id: int
    month: str
    path: str
    keys: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    rows_max: int = 50_000
    bytes_max: int = 24 << 20


class Rewrite(Struct, frozen=True, tag="rewrite", kw_only=True):
    """Files into one new one, without these keys. It must hold every other row."""

    table: str
    month: str
    sources: list[Entry]
    path: str
    without: list[int] = field(default_factory=list)


class Keys(Struct, frozen=True, tag="keys", kw_only=True):
    """What a file holds: its keys."""

    table: str
    source: Entry


class Rows(Struct, frozen=True, tag="rows", kw_only=True):
    """Rows of a file, `most` after the first `skip`. Bytes come as base64 text."""

    table: str
    source: Entry
    skip: int = 0
    most: int = 500


class Search(Struct, frozen=True, tag="search", kw_only=True):
    """Rows in files: newest first. `text`: in the columns of `within`; `equal`: columns and what they hold."""

    table: str
    sources: list[Entry]
    columns: list[str]
    order: str
    within: list[str]
    text: str = ""
    equal: dict[str, str] = field(default_factory=dict)
    from_ms: int | None = None
    until_ms: int | None = None
    most: int = 100


class Check(Struct, frozen=True, tag="check", kw_only=True):
    """Whether a file is as it was written."""

    source: Entry


class Erase(Struct, frozen=True, tag="erase", kw_only=True):
    """A file without what tells of a person: a new one, where there is something to take out.

    Without a `path` the rows that tell of them are the answer, and nothing is written.
    """

    table: str
    month: str
    source: Entry
    path: str
    ids: list[str]
    marks: list[str]
    names: list[str]
    code: str
    audit_key: bytes = b""


Ask = Write | Rewrite | Keys | Rows | Search | Check | Erase


class Answer(Struct, frozen=True, kw_only=True):
    """What came of it. `wrong`: a sentence, where it failed; `full`, `damaged`: because of that."""

    entry: Entry | None = None
    keys: list[int] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    changed: int = 0
    wrong: str = ""
    full: bool = False
    damaged: bool = False
