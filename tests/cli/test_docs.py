"""`signalcraft docs`: the documentation without a network, a box or a setting."""

from __future__ import annotations

import re

import httpx
import pytest

from signalcraft.cli.root import run
from signalcraft.http.manual import shelf
from tests.cli.conftest import Box


def test_it_serves_the_pages_to_a_browser_until_it_is_ended(box: Box) -> None:
    process = box.start("docs", "--listen", "127.0.0.1:0")
    assert process.stdout is not None
    said = process.stdout.readline()
    base = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert base is not None, said
    with httpx.Client(base_url=base[0], trust_env=False, headers={"Accept": "text/html"}) as client:
        index = client.get("/", follow_redirects=True)
        assert index.url.path == "/docs/index.md"
        assert "Your first alert" in index.text
        assert index.headers["content-security-policy"].startswith("default-src 'none'")
        assert client.get("/docs/style.css").headers["content-type"].startswith("text/css")
        assert "how-to/tls.md" in client.get("/docs/search?q=certificate").text
        assert client.get("/docs/nothing.md").status_code == 404
    assert not box.data.exists()
    box.ended(process)


def test_it_lists_searches_and_shows_pages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs", "--list"]) == 0
    listed = capsys.readouterr().out
    assert len(listed.splitlines()) == len(shelf.pages()) > 80
    assert re.search(r"^how-to/tls +Serve HTTPS", listed, re.MULTILINE)
    assert run(["docs", "--search", "recovery sheet"]) == 0
    assert "how-to/back-up.md" in capsys.readouterr().out
    assert run(["docs", "show", "tls"]) == 0
    assert capsys.readouterr().out == shelf.pages()["how-to/tls.md"].text


def test_a_page_that_is_not_there_is_named_with_those_that_are_near(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs", "show", "back"]) == 1
    assert "how-to/back-up" in capsys.readouterr().err
    assert run(["docs", "show", "generic"]) == 1  # a how-to and a reference page have that name
    assert "how-to/sources/generic" in capsys.readouterr().err
    assert run(["docs", "--listen", "nowhere"]) == 2
