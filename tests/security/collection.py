"""`python -m tests.security.collection`: docs/reference/signalcraft.http, drawn from the OpenAPI document.

The form is the one that editors and HTTP clients share: https://www.jetbrains.com/help/idea/exploring-http-syntax.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from signalcraft.http import openapi

HEAD: Final = """\
# Requests to SignalCraft, one for each operation that an API key may ask. Drawn from openapi.json: make gen
# An editor with an HTTP client runs them: set the box, a key (`signalcraft apikey create`) and the ids you mean.

@base = http://127.0.0.1:8080
@key = sc_EXAMPLE
"""
_SPARED: Final = {
    "follow", "slack_actions", "show_answer_link", "use_answer_link", "get_api_page_file", "replay_quarantined",
    "replay_quarantine", "get_drill_report", "restore_archive", "resume",
}  # fmt: skip
"""Streams, what others sign, and what needs a box in an unusual state (a broken webhook, a restore, an archive)."""


class Request(NamedTuple):
    """One request of the file, its variables not yet put in."""

    name: str
    method: str
    url: str
    headers: dict[str, str]
    body: str


def variable(path: str) -> str:
    """The name of the id in a path: /api/alert-groups/{id}/ack → alert_groups_id."""
    return path.split("/")[2].replace("-", "_") + "_id"


def told(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation) of everything that a key, or nobody in particular, may ask."""
    for path, item in document["paths"].items():
        for method, one in item.items():
            keyed = any("key" in way for way in one.get("security", ()))
            open_ = "security" not in one and not path.startswith(("/api/auth/", "/api/invitations/"))
            if one["operationId"] not in _SPARED and (keyed or open_):
                yield path, method, one


def drawn() -> str:
    """The whole file."""
    document = json.loads(openapi.document())
    operations = list(told(document))
    names = sorted({variable(path) for path, _, _ in operations if "{id}" in path})
    parts = [
        HEAD + "".join(f"@{name} = 0dv8m2k4c0001\n" for name in names) + "@source = generic\n@token = EXAMPLE-token\n"
    ]
    for path, method, one in operations:
        url = path.replace("{source}/{token}", "{{source}}/{{token}}")
        if "{id}" in path:
            url = path.replace("{id}", "{{" + variable(path) + "}}")
        lines = [f"### {one['summary']}", f"# @name {one['operationId']}", f"{method.upper()} {{{{base}}}}{url}"]
        if "security" in one:
            lines.append("Authorization: Bearer {{key}}")
        content = one.get("requestBody", {}).get("content", {})
        body = next((shown["example"] for shown in content.values()), None)
        if body is not None:
            lines += ["Content-Type: application/json", "", json.dumps(body, indent=2, ensure_ascii=False)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def read(text: str) -> tuple[dict[str, str], list[Request]]:
    """The variables and the requests of such a file."""
    head, *parts = re.split(r"^### .*$", text, flags=re.MULTILINE)
    variables = dict(re.findall(r"^@(\w+) = (.*)$", head, re.MULTILINE))
    requests = []
    for part in parts:
        above, _, body = part.strip().partition("\n\n")
        named, line, *more = above.splitlines()
        method, url = line.split(" ", 1)
        headers = dict(one.split(": ", 1) for one in more)
        requests.append(Request(named.removeprefix("# @name "), method, url, headers, body))
    return variables, requests


if __name__ == "__main__":
    print(drawn(), end="")
