"""Every request of docs/reference/signalcraft.http works against a box, as it stands there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import ROOT
from tests.security.collection import Request, drawn, read
from tests.security.ground import Ground
from tests.security.requests import MADE, UNREACHED

FILE = ROOT / "docs" / "reference" / "signalcraft.http"
VARIABLES, REQUESTS = read(FILE.read_text("utf-8"))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Ground(tmp_path_factory.mktemp("ground")) as it:
        yield it


def test_the_file_is_fresh() -> None:
    """If it fails: make gen."""
    assert FILE.read_text("utf-8") == drawn()
    assert len(REQUESTS) > 60


@pytest.mark.parametrize("request_", REQUESTS, ids=[one.name for one in REQUESTS])
def test_it_works(ground: Ground, request_: Request) -> None:
    path = httpx.URL(ground.generic["webhook_url"]).path.split("/")
    known = {**VARIABLES, "base": ground.base, "key": ground.key.removeprefix("Bearer "), "source": path[2]}
    known["token"] = path[3]

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name.endswith("_id"):
            return ground.fresh("/api/" + name.removesuffix("_id").replace("_", "-"))
        return known[name]

    if request_.name in UNREACHED:
        pytest.fail(f"leave {request_.name} out of the file (collection._SPARED): it needs {UNREACHED[request_.name]}")
    url, body = request_.url, request_.body
    prepared = MADE.get(request_.name)
    # It needs more than something that is there: put that in.
    if prepared is not None and ("{{base}}/api/" in url or request_.name == "show_shared"):
        shown = json.loads(body) if body else None
        path = re.sub(r"{{\w+_id}}", "{id}", url.removeprefix("{{base}}")).replace("{{token}}", "{token}")
        wanted = prepared(ground, path, shown)
        url = "{{base}}" + wanted.path
        body = json.dumps(wanted.body) if wanted.body is not None else body
    elif body and request_.name.startswith(("create", "replace")):
        said = json.loads(body)
        body = json.dumps({**said, "name": f"{said['name']} {next(ground.numbers)}"})
    url = re.sub(r"{{(\w+)}}", value, url)
    headers = {name: re.sub(r"{{(\w+)}}", value, text) for name, text in request_.headers.items()}
    answer = httpx.request(request_.method, url, headers=headers, content=body or None, timeout=20, trust_env=False)
    assert 200 <= answer.status_code < 300, f"{answer.status_code} {answer.text}"
