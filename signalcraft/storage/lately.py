"""What came lately: the alerts that a rule is tried on, and the words in which they speak."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.storage import events
from signalcraft.storage.db import Tx

SCAN: Final = 5_000
"""Events that are looked through for those that fire."""
_WORDS_OF: Final = 2_000
"""Events, and alert groups, whose words are gathered."""
_KEYS_MAX: Final = 100
_VALUES_MAX: Final = 50
_LONGEST: Final = 100
"""Characters of a word that is worth offering."""


class Words(Struct, frozen=True, kw_only=True):
    """What alerts said lately, the most frequent first. `tags`: key → values."""

    projects: list[str]
    environments: list[str]
    sources: list[str]
    tags: dict[str, list[str]]


def firing(reader: Tx, workspace_id: int, limit: int) -> list[events.Stored]:
    """The last events that say that something is wrong, newest first, of the last `SCAN` events of any kind."""
    rows = reader.all(
        f"select {events.FIELDS} from (select * from event where workspace_id = ? order by id desc limit ?)"
        " where status = 'firing' and kind in ('alert', 'test') order by id desc limit ?",
        (workspace_id, SCAN, limit),
    )
    return [events.from_row(row) for row in rows]


def words(reader: Tx, workspace_id: int) -> Words:
    """The words of the latest alert groups and events, bounded."""
    projects: Counter[str] = Counter()
    environments: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    tags: dict[str, Counter[str]] = {}
    for project, environment, source in reader.all(
        "select project, environment, source from alert_group where workspace_id = ?"
        " order by last_seen_ms desc, id desc limit ?",
        (workspace_id, _WORDS_OF),
    ):
        _count(projects, project)
        _count(environments, environment)
        _count(sources, source)
    for (said,) in reader.all(
        "select tags from (select status, tags from event where workspace_id = ? order by id desc limit ?)"
        " where status = 'firing' and tags <> '{}'",
        (workspace_id, _WORDS_OF),
    ):
        for key, value in msgspec.json.decode(said, type=dict[str, str]).items():
            if len(key) <= _LONGEST and (key in tags or len(tags) < 10 * _KEYS_MAX):
                _count(tags.setdefault(key, Counter()), value)
    often = sorted(tags, key=lambda key: (-tags[key].total(), key))[:_KEYS_MAX]
    return Words(
        projects=_most(projects),
        environments=_most(environments),
        sources=_most(sources),
        tags={key: _most(tags[key]) for key in sorted(often)},
    )


def _count(found: Counter[str], word: str | None) -> None:
    if word and len(word) <= _LONGEST:
        found[word] += 1


def _most(found: Counter[str]) -> list[str]:
    return [word for word, _ in found.most_common(_VALUES_MAX)]
