"""What an answer of the API goes through on its way out, piece by piece, without a whole SignalCraft behind it."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
import zstandard

from signalcraft.http.packing import LEAST, SECRET, packed

JSON = (b"content-type", b"application/json")
LARGE = b'"%s"' % (b"a" * 5000)


def sent(
    *pieces: bytes, path: str = "/api/alert-groups", method: str = "GET", status: int = 200,
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,), asked: tuple[tuple[bytes, bytes], ...] = (),
    accepted: bytes = b"gzip, zstd",
) -> tuple[dict[str, Any], dict[bytes, bytes], list[bytes]]:  # fmt: skip
    """(the start of the answer, its headers, its body piece by piece), as a client that takes everything gets it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for number, piece in enumerate(pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces) - 1})

    async def ask() -> list[Any]:
        said: list[Any] = []

        async def send(message: Any) -> None:
            said.append(message)

        scope = {"method": method, "path": path, "headers": [(b"accept-encoding", accepted), *asked]}
        await packed(app, scope, None, send)
        return said

    start, *body = asyncio.run(ask())
    return start, dict(start["headers"]), [one["body"] for one in body]


def test_a_whole_answer_is_packed_and_has_a_validator() -> None:
    start, headers, (body,) = sent(LARGE)
    assert (start["status"], headers[b"content-encoding"]) == (200, b"zstd")
    assert zstandard.ZstdDecompressor().decompressobj().decompress(body) == LARGE
    assert headers[b"etag"].startswith(b'W/"')
    assert headers[b"content-length"] == b"%d" % len(body)
    assert sent(LARGE[:-2] + b'b"')[1][b"etag"] != headers[b"etag"], "another answer has another"


def test_it_begins_at_a_length() -> None:
    assert b"content-encoding" not in sent(b"1" * (LEAST - 1))[1]
    assert b"content-encoding" in sent(b"1" * LEAST)[1]


@pytest.mark.parametrize("pieces", [(LARGE,), (b": hello\n\n", LARGE)])
def test_a_stream_of_events_goes_through_as_it_is(pieces: tuple[bytes, ...]) -> None:
    """Also where all of it came in one piece: a browser that waits for events gets them at once."""
    kind = ((b"content-type", b"text/event-stream"),)
    start, _, body = sent(*pieces, headers=kind, path="/api/live")
    assert start["headers"] == list(kind)
    assert tuple(body) == pieces
    assert sent(*pieces, headers=kind, asked=((b"if-none-match", b"*"),))[0]["status"] == 200


def test_what_comes_as_it_is_made_is_not_held_back() -> None:
    start, _, body = sent(b"[1,", LARGE, b"]")
    assert start["headers"] == [JSON]
    assert body == [b"[1,", LARGE, b"]"]


@pytest.mark.parametrize(
    "other",
    [
        {"status": 404},
        {"status": 503},
        {"method": "POST"},
        {"method": "HEAD"},
        {"path": "/health"},
        {"path": "/webhooks/x"},
        {"headers": (JSON, (b"etag", b'"of its own"'))},
    ],
)
def test_what_is_no_answer_to_a_reading_of_the_api_goes_through(other: dict[str, Any]) -> None:
    asked = ((b"if-none-match", b"*"),)
    start, headers, body = sent(LARGE, asked=asked, **other)
    assert (start["status"], body) == (other.get("status", 200), [LARGE])
    assert b"content-encoding" not in headers
    assert headers.get(b"etag", b'"of its own"') == b'"of its own"'


def test_what_an_answer_varies_by_adds_up() -> None:
    assert sent(LARGE, headers=(JSON, (b"vary", b"origin")))[1][b"vary"] == b"origin, accept-encoding"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (b"gzip", b"gzip"),
        (b"zstd;q=0.1, gzip", b"gzip"),
        (b"*", b"zstd"),
        (b"br", None),
        (b"identity", None),
        (b"gzip;q=0, zstd;q=0", None),
    ],
)
def test_it_is_packed_as_the_client_can_unpack_it(accepted: bytes, coding: bytes | None) -> None:
    _, headers, (body,) = sent(LARGE, accepted=accepted)
    assert headers.get(b"content-encoding") == coding
    if coding == b"gzip":
        assert gzip.decompress(body) == LARGE
    if coding is None:
        assert body == LARGE


def test_whoever_has_it_gets_none_and_another_one_is_told() -> None:
    etag = sent(LARGE)[1][b"etag"]
    start, headers, body = sent(LARGE, asked=((b"if-none-match", etag),))
    assert (start["status"], body, headers[b"etag"]) == (304, [b""], etag)
    assert b"content-type" not in headers
    assert sent(LARGE + b" ", asked=((b"if-none-match", etag),))[0]["status"] == 200


@pytest.mark.parametrize("path", [one + "x" for one in SECRET])
def test_what_may_hold_a_secret_is_not_packed(path: str) -> None:
    assert b"content-encoding" not in sent(LARGE, path=path)[1]


def test_what_another_sites_page_asks_for_is_not_packed() -> None:
    assert b"content-encoding" not in sent(LARGE, asked=((b"sec-fetch-site", b"cross-site"),))[1]
    assert b"content-encoding" in sent(LARGE, asked=((b"sec-fetch-site", b"same-origin"),))[1]
