"""Where in somebody's JSON the fields of an alert stand: paths that a person wrote, and words that mean ours.

A path names keys and numbers with dots between: `incident.labels.0.name`. It is looked for in the alert first, then in
the whole body. What begins with `=` is the text behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from signalcraft.domain.reading import items, obj, tag_text, tags_of

EACH: Final = "each"
"""The key of a mapping whose path leads to the array of alerts."""
_TAG: Final = "tags."
_DEPTH_MAX: Final = 30


def found(held: object, path: str, depth: int = 0) -> Any:
    """What stands at a path, None where nothing does. A key may hold dots itself: the longest one wins."""
    if depth > _DEPTH_MAX:
        return None
    if type(held) is dict and path in held:
        return held[path]
    head, dot, rest = path.partition(".")
    while dot:
        inner = _step(held, head)
        value = None if inner is None else found(inner, rest, depth + 1)
        if value is not None:
            return value
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return _step(held, path)


def _step(held: object, key: str) -> Any:
    if type(held) is dict:
        return held.get(key)
    if type(held) is list and key.isascii() and key.isdigit() and len(key) < 10 and int(key) < len(held):
        return held[int(key)]
    return None


def members(body: dict[str, Any], mapping: Mapping[str, str]) -> list[Any] | None:
    """The array of alerts that the mapping points to; None where it points to none, or no array is there."""
    path = mapping.get(EACH)
    value = found(body, path) if path else None
    return items(value) if type(value) is list else None


def laid_over(alert: dict[str, Any], whole: object, mapping: Mapping[str, str]) -> dict[str, Any]:
    """The alert with the mapped fields under our names. A path at which nothing stands leaves the alert's own."""
    over: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for name, path in mapping.items():
        if name == EACH:
            continue
        value: Any = path[1:] if path.startswith("=") else found(alert, path)
        if value is None and whole is not alert:
            value = found(whole, path)
        if value is None:
            continue
        if name.startswith(_TAG):
            said = tag_text(value)
            if said:
                tags[name.removeprefix(_TAG)] = said
        else:
            over[name] = value
    if tags:
        own = tags_of(over.get("tags", alert.get("tags"))) or tags_of(obj(alert.get("labels")))
        over["tags"] = {**own, **tags}
    return {**alert, **over}


def faults(
    mapping: Mapping[str, str], words: Mapping[str, str], fields: Iterable[str], meanings: Iterable[str]
) -> list[tuple[str, str]]:
    """What is wrong with a mapping and its words, as (field, sentence)."""
    known, meant = tuple(fields), tuple(meanings)
    out = []
    for name, path in mapping.items():
        where = f"mapping.{name[:100]}"
        if name not in known and not (name.startswith(_TAG) and len(name) > len(_TAG)):
            out.append((where, f"is no field of an alert: {', '.join(known)} or tags.<key>"))
        elif not path or len(path) > 500 or path.startswith(".") or path.endswith("."):
            out.append((where, "needs a path such as incident.title, or = and a text"))
        elif name == EACH and path.startswith("="):
            out.append((where, "needs the path of an array"))
    for word, meaning in words.items():
        if meaning not in meant:
            out.append((f"words.{word[:100]}", f"must mean one of {', '.join(meant)}"))
    return out
