"""The dashboard's files over HTTP: which form of a file, how long it is kept, and what else must not come out."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import zstandard

from signalcraft.http import dashboard
from signalcraft.http.app import routes
from signalcraft.http.dashboard import ELSEWHERE, Copy, chosen
from tests.conftest import ROOT
from tests.http.asking import asking, problem
from tests.world import World

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
INDEX = b"<!doctype html><title>made up</title><script type=module src=/assets/main-1a2b.js></script>"
SCRIPT = b"console.log('made up');" * 100
BUILT = dashboard.FOLDER
FOREVER = "public, max-age=31536000, immutable"


def lay(folder: Path) -> None:
    """A dashboard as the build leaves one."""
    (folder / "assets").mkdir(parents=True)
    (folder / ".vite").mkdir()
    (folder / ".vite" / "manifest.json").write_text("{}")
    (folder / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "assets" / "main-1a2b.js").write_bytes(SCRIPT)
    (folder / "assets" / "main-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT, mtime=0))
    (folder / "assets" / "main-1a2b.js.zst").write_bytes(zstandard.compress(SCRIPT))
    (folder / "assets" / "notes.py").write_text("nothing that is served")
    (folder / "index.html").write_bytes(INDEX)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dashboard")
    (root / "secret.txt").write_text("beside it")
    lay(root / "static")
    return root / "static"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[World]:
    """A box with a made-up dashboard."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dashboard, "FOLDER", folder)
        with World(tmp_path_factory.mktemp("world") / "data") as it:
            yield it


@pytest.fixture
def client(world: World) -> httpx.Client:
    """Somebody without a key."""
    return asking(world)


def test_the_first_page_is_asked_for_again_each_time_under_a_policy_of_its_own(client: httpx.Client) -> None:
    answer = client.get("/", headers=HTML)
    assert (answer.status_code, answer.content) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        **dict.fromkeys(
            ("script-src", "style-src", "font-src", "connect-src", "manifest-src", "form-action"), "'self'"
        ),
        "img-src": "'self' data:",
        **dict.fromkeys(("base-uri", "frame-ancestors"), "'none'"),
    }


def test_a_file_whose_name_holds_its_hash_is_kept_for_ever(client: httpx.Client) -> None:
    answer = client.get("/assets/main-1a2b.js")
    assert answer.headers["cache-control"] == FOREVER
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert client.get("/icon.svg").headers["cache-control"] == "no-cache"
    assert client.get("/icon.svg").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("zstd, gzip, br", "zstd"),  # the smallest of what is there
        ("gzip, deflate", "gzip"),
        ("br", ""),  # not there
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0, zstd;q=0", ""),
        ("*", "zstd"),
        ("GZIP ; Q=0.3", "gzip"),
        ("identity;q=1, gzip;q=0.9", ""),
        ("identity;q=0, gzip;q=0.001", "gzip"),
        ("*;q=0", ""),
        ("", ""),
        ("gzip;q=nan, zstd;q=, ;;,", ""),
    ],
)
def test_the_form_of_a_file_follows_what_is_accepted(client: httpx.Client, accepted: str, coding: str) -> None:
    with client.stream("GET", "/assets/main-1a2b.js", headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding", "") == coding
    assert answer.headers["vary"] == "accept-encoding"
    assert int(answer.headers["content-length"]) == len(raw)
    unpack: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "zstd": zstandard.decompress}
    assert unpack.get(coding, bytes)(raw) == SCRIPT


def test_without_the_header_a_file_comes_as_it_is() -> None:
    copies = [Copy("identity", 100, Path("a.js")), Copy("gzip", 10, Path("a.js.gz"))]
    assert chosen(copies, "").coding == "identity"
    assert chosen(copies, "br;q=1.0").coding == "identity"


def test_what_is_known_is_not_sent_again(client: httpx.Client) -> None:
    """Each form has a validator of its own, so that a cache never mixes them up."""
    seen = {}
    for accepted in ("zstd", "gzip", "identity"):
        whole = client.get("/assets/main-1a2b.js", headers={"Accept-Encoding": accepted})
        seen[accepted] = etag = whole.headers["etag"]
        assert etag.startswith('"')
        for known in (etag, f'"other", W/{etag}', "*"):
            again = client.get("/assets/main-1a2b.js", headers={"Accept-Encoding": accepted, "If-None-Match": known})
            assert (again.status_code, again.content) == (304, b""), known
            for name in ("etag", "cache-control", "vary"):
                assert again.headers[name] == whole.headers[name]
    assert len(set(seen.values())) == 3
    stale = client.get("/assets/main-1a2b.js", headers={"Accept-Encoding": "gzip", "If-None-Match": seen["zstd"]})
    assert stale.status_code == 200
    first = client.get("/")
    assert client.get("/", headers={"If-None-Match": first.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("path", ["/", "/assets/main-1a2b.js", "/icon.svg"])
def test_head_says_what_get_says(client: httpx.Client, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "cache-control", "vary", "content-security-policy"):
        assert head.headers.get(name) == got.headers.get(name), name


def test_the_pages_are_those_of_the_dashboard() -> None:
    """A page that is missing here would be answered with 404; a name that is none, with 200."""
    told = re.findall(r"^  '(/[^']*)': ", (ROOT / "web/src/routes.ts").read_text("utf-8"), re.MULTILINE)
    assert "/" in told
    assert {address.split("/")[1] for address in told} - {""} == dashboard.PAGES


def test_an_address_of_a_page_is_the_page(client: httpx.Client) -> None:
    """The way through the dashboard is its own: a reload in the middle of it shows the same page again."""
    for first in sorted(dashboard.PAGES):
        for path in (f"/{first}", f"/{first}/a/b", f"/{first}?q=severity%3E%3Dhigh"):
            answer = client.get(path, headers=HTML)
            assert (answer.status_code, answer.content) == (200, INDEX), path
            assert answer.headers["vary"] == "accept, accept-encoding"


@pytest.mark.parametrize("path", ["/nowhere", "/rulesets", "/nowhere/at/all", "/index.html"])
def test_an_address_of_no_page_is_the_pages_own_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(f"{client.base_url}".rstrip("/") + path, headers=HTML)
    assert (answer.status_code, answer.content) == (404, INDEX)
    known = client.get(
        f"{client.base_url}".rstrip("/") + path, headers={**HTML, "If-None-Match": answer.headers["etag"]}
    )
    assert known.status_code == 404, "a 304 would say that there is such a page"


@pytest.mark.parametrize("first", sorted(ELSEWHERE))
def test_what_is_no_page_keeps_its_own_404(client: httpx.Client, first: str) -> None:
    """A program that mistyped an address hears of it in the form that it reads, whatever it accepts."""
    answer = client.get(f"/{first}/no/such/thing", headers=HTML)
    if first == "docs":  # read by people: their page says it in words
        assert answer.status_code == 404
    elif first != "webhooks":  # its door takes POST alone
        problem(answer, 404, "not_found")
    assert answer.content != INDEX


def test_every_route_is_in_front_of_the_pages() -> None:
    """A new route outside these places would be hidden by the page."""
    firsts = {path.split("/")[1] for route in routes() for path in route.paths}
    assert firsts - ELSEWHERE == {""}


def test_a_program_hears_404_where_a_browser_sees_a_page(client: httpx.Client) -> None:
    for accept in ("*/*", "application/json"):
        problem(client.get("/rules", headers={"Accept": accept}), 404, "not_found")


def test_only_get_is_answered(client: httpx.Client) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert client.request(method, "/assets/main-1a2b.js").status_code in (404, 405)
        assert client.request(method, "/rules", headers=HTML).status_code in (404, 405)


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../index.html", "/assets/..%2f..%2fsecret.txt", "/..%2fsecret.txt", "/assets/%2e%2e/secret.txt",
        "/assets/notes.py", "/assets/", "/assets", "/.vite/manifest.json", "/assets/main-1a2b.js.gz", "/secret.txt",
        "/assets/main-1a2b.js%00", "/assets//main-1a2b.js", "/assets/%2fetc%2fpasswd", "/etc/passwd",
        "/assets/..%5c..%5csecret.txt", "/assets/main-1a2b.js/", "/assets/MAIN-1a2b.js",
    ],
)  # fmt: skip
def test_nothing_but_the_files_comes_out(world: World, path: str) -> None:
    """Asked on a bare connection, so that no client tidies the address."""
    import socket

    url = world.api.base_url
    with socket.create_connection((url.host, url.port or 80), 5) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n".encode())
        said = b"".join(iter(lambda: line.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 404"), said[:200]
    assert b"application/problem+json" in said


def test_metrics_know_few_addresses(world: World, client: httpx.Client) -> None:
    for path in ("/", "/assets/main-1a2b.js", "/rules/1", "/rules/2", "/nowhere", "/icon.svg"):
        client.get(path, headers=HTML)
    told = {route for route, _, _ in world.program.app.state.edge.requests}  # type: ignore[union-attr]
    assert told >= {"/assets/{name}", "/{page}", "/{file}", "/"}
    assert {route for route in told if "1a2b" in route or "rules" in route or "icon" in route} == set()


def test_a_file_is_read_once(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.get("/assets/main-1a2b.js")
    monkeypatch.setattr(dashboard, "_read", None)
    assert client.get("/assets/main-1a2b.js").status_code == 200


def test_a_dashboard_that_was_built_anew_is_seen_without_a_restart(client: httpx.Client, folder: Path) -> None:
    client.get("/")
    new = folder / "assets" / "main-9z9z.js"
    try:
        new.write_text("new")
        (folder / "index.html").write_bytes(INDEX + b"<!-- new -->")
        os.utime(folder / "index.html", ns=(1, 1))
        assert client.get("/").content.endswith(b"new -->")
        assert client.get("/assets/main-9z9z.js").text == "new"
    finally:
        new.unlink()
        (folder / "index.html").write_bytes(INDEX)
    assert client.get("/").content == INDEX
    assert client.get("/assets/main-9z9z.js").status_code == 404


def test_without_a_built_dashboard_the_first_page_says_how_to_build_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "FOLDER", tmp_path / "missing")
    with World(tmp_path / "data") as bare:
        client = asking(bare)
        page = client.get("/", headers=HTML)
        assert page.status_code == 200
        assert "make web" in page.text
        problem(client.get("/rules", headers=HTML), 404, "not_found")
        problem(client.get("/assets/main-1a2b.js"), 404, "not_found")
        lay(tmp_path / "missing")
        assert client.get("/", headers=HTML).content == INDEX


def test_the_dashboard_that_was_built_is_served_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its page asks for is there, in every form, each time the same."""
    assert (BUILT / "index.html").is_file(), "the dashboard is not built: make web"
    monkeypatch.setattr(dashboard, "FOLDER", BUILT)
    with World(tmp_path / "data") as it:
        client = asking(it)
        page = client.get("/", headers=HTML)
        asked = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
        assert len([path for path in asked if path.startswith("/assets/")]) >= 2
        for path in asked:
            forms = [client.get(path, headers={"Accept-Encoding": coding}) for coding in ("zstd", "br", "gzip", "")]
            assert [form.status_code for form in forms] == [200] * 4, path
            # httpx unpacks zstd and gzip by itself, br where it can.
            assert {form.content for form in forms if form.headers.get("content-encoding") != "br"} == {
                (BUILT / path[1:]).read_bytes()
            }
