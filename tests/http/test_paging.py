"""Whatever can grow comes in pages: read off the API's own description."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SAID: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs/reference/openapi.json").read_text("utf-8"))
WHOLE = {"/api/views": "at most 100 a person, and 100 shared ones, are kept"}
"""Lists with a `next` that is always null, and what bounds them."""


def shape(answer: dict[str, Any]) -> dict[str, Any]:
    """The schema of a JSON answer, {} where it has none."""
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = SAID["components"]["schemas"][name] if name else schema
    return found


def test_every_list_has_a_limit_of_a_hundred_and_a_cursor() -> None:
    lists = 0
    for path, methods in SAID["paths"].items():
        for answer in (methods.get("get", {}).get("responses", {}).get("200", {}),):
            if not {"items", "next"} <= set(shape(answer).get("properties", {})) or path in WHOLE:
                continue
            lists += 1
            asked = {one["name"]: one["schema"] for one in methods["get"].get("parameters", [])}
            assert {"limit", "cursor"} <= set(asked), path
            limits = [one for one in (asked["limit"], *asked["limit"].get("oneOf", [])) if "maximum" in one]
            assert [one["maximum"] for one in limits] == [100], path
    assert lists > 10
