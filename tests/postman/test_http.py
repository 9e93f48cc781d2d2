"""HTTP calls: what comes back, what is never followed, kept or told, and how every fault becomes a reply."""

from __future__ import annotations

import asyncio
import gc
import gzip
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from signalcraft.domain.delivery import HttpCall, Reply
from signalcraft.postman import Postman
from tests.postman.loopback import AUTHORITY, HttpServer, answer, closed_port, http_server

CALL = HttpCall(
    method="POST",
    url="",
    headers={"Authorization": "Bearer xoxb-very-secret", "Content-Type": "application/json"},
    body=b'{"a":1}',
    timeout_s=5.0,
    private_ok=True,
)


def run(work: Callable[[Postman], Awaitable[Any]], **settings: Any) -> Any:
    async def main() -> Any:
        postman = Postman(**settings)
        try:
            return await work(postman)
        finally:
            await postman.close()

    return asyncio.run(main())


def exchange(handler: Any, *, path: str = "/", **changes: Any) -> tuple[Reply, HttpServer]:
    """One call to a server that answers so."""

    async def work(postman: Postman) -> tuple[Reply, HttpServer]:
        async with http_server(handler) as server:
            return await postman.send(replace(CALL, url=server.url(path), **changes)), server

    found: tuple[Reply, HttpServer] = run(work)
    return found


def test_what_comes_back() -> None:
    reply, server = exchange(
        answer(b'{"ok":true}', "202 Accepted", "Retry-After: 30\r\nX-A: 1\r\nX-A: 2\r\n"), path="/x?y=1"
    )
    assert reply == Reply(
        status=202, headers={"content-length": "11", "retry-after": "30", "x-a": "1, 2"}, body=b'{"ok":true}'
    )
    (request,) = server.requests
    assert request.startswith(b"POST /x?y=1 HTTP/1.1\r\n")
    assert request.endswith(b'\r\n\r\n{"a":1}')
    assert b"Authorization: Bearer xoxb-very-secret\r\n" in request
    assert b"User-Agent: SignalCraft/" in request


def test_the_calls_own_user_agent_wins() -> None:
    _, server = exchange(answer(), headers={"User-Agent": "SignalCraft-Webhook/1.0"})
    assert server.requests[0].count(b"SignalCraft") == 1


def test_connections_are_kept() -> None:
    async def work(postman: Postman) -> int:
        async with http_server(answer()) as server:
            for _ in range(5):
                assert (await postman.send(replace(CALL, url=server.url()))).status == 200
            return server.connections

    assert run(work) == 1


def test_many_at_once() -> None:
    async def slow(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(answer(request.rpartition(b"\r\n\r\n")[2]))

    async def work(postman: Postman) -> list[Reply]:
        async with http_server(slow) as server:
            calls = [replace(CALL, url=server.url(), body=str(n).encode()) for n in range(80)]
            return await asyncio.gather(*(postman.send(call) for call in calls))

    assert [reply.body for reply in run(work)] == [str(n).encode() for n in range(80)]


def test_a_redirect_is_not_followed() -> None:
    async def work(postman: Postman) -> tuple[Reply, int]:
        async with http_server(answer(b"secret")) as target:
            moved = answer(b"", "307 Temporary Redirect", f"Location: {target.url()}\r\n")
            async with http_server(moved) as server:
                return await postman.send(replace(CALL, url=server.url())), len(target.requests)

    reply, reached = run(work)
    assert (reply.status, reply.body, reached) == (307, b"", 0)


def test_cookies_are_forgotten() -> None:
    async def work(postman: Postman) -> list[bytes]:
        async with http_server(answer(headers="Set-Cookie: session=1; Path=/\r\n")) as server:
            for _ in range(2):
                await postman.send(replace(CALL, url=server.url()))
            return server.requests

    assert not any(b"cookie" in request.lower() for request in run(work))


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert exchange(answer())[0].status == 200


def test_a_huge_body_is_cut() -> None:
    sent = 0

    async def flood(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while sent < 1 << 30:
            writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await writer.drain()
            sent += 65_536

    reply, _ = exchange(flood)
    assert (reply.status, len(reply.body)) == (200, 1 << 20)
    assert sent < 1 << 25


def test_a_small_body_that_unpacks_to_a_huge_one_is_cut() -> None:
    bomb = gzip.compress(b"\0" * (1 << 27))
    reply, _ = exchange(answer(bomb, headers="Content-Encoding: gzip\r\n"))
    assert len(reply.body) == 1 << 20


def test_a_packed_body_is_unpacked() -> None:
    assert exchange(answer(gzip.compress(b"hello"), headers="Content-Encoding: gzip\r\n"))[0].body == b"hello"
    assert exchange(answer(b"hello", headers="Content-Encoding: gzip\r\n"))[0].body == b"hello"


async def stall(request: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def drip(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    for _ in range(10_000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("handler", [stall, drip])
def test_a_server_that_takes_its_time_is_left(handler: Any) -> None:
    began = time.monotonic()
    reply, _ = exchange(handler, timeout_s=0.4)
    assert reply == Reply(status=0, error="no answer within 0.4 s", sent_maybe=True)
    assert time.monotonic() - began < 20


def test_nothing_listens() -> None:
    async def work(postman: Postman) -> Reply:
        async with closed_port() as port:
            return await postman.send(replace(CALL, url=f"http://127.0.0.1:{port}/"))

    assert run(work) == Reply(status=0, error="the connection was refused: nothing listens there")


def test_a_name_that_has_no_address() -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    async def work(postman: Postman) -> Reply:
        return await postman.send(replace(CALL, url="http://nowhere.example/"))

    assert run(work, look_up=unknown) == Reply(status=0, error="nowhere.example has no address")


async def hang_up(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def cut_short(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("handler", [hang_up, cut_short, b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_an_answer_that_breaks_off_may_have_been_acted_on(handler: Any) -> None:
    reply, _ = exchange(handler)
    assert reply == Reply(status=0, error="the connection broke before an answer came", sent_maybe=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": ""},
        {"url": "nonsense"},
        {"url": "ftp://x.example/"},
        {"url": "file:///etc/passwd"},
        {"url": "http://x.example:99999/xoxb-very-secret"},
        {"url": "http://[::1/xoxb-very-secret"},
        {"url": "http://x.example/\r\nxoxb-very-secret"},
        {"url": "http://" + "a" * 300 + ".example/"},
        {"url": "http://\u2603.example\u0000/"},
        {"url": "http://127.0.0.1:1/", "headers": {"Authorization": "Bearer xoxb-very-secret\r\nX: y"}},
        {"url": "http://127.0.0.1:1/", "headers": {"Authorization": "Bearer xoxb-very-secret é \ud800"}},
        {"url": "http://127.0.0.1:1/", "headers": {"": "xoxb-very-secret"}},
        {"url": "http://127.0.0.1:1/", "method": "PO ST xoxb-very-secret"},
    ],
)
def test_a_call_that_cannot_be_made_is_a_reply_without_its_secrets(changes: dict[str, Any]) -> None:
    async def work(postman: Postman) -> Reply:
        return await postman.send(replace(CALL, **changes))

    reply: Reply = run(work)
    assert reply.status == 0
    assert reply.error
    assert "very-secret" not in repr(reply)
    assert "passwd" not in repr(reply)


def test_the_callers_cancellation_is_his() -> None:
    async def work(postman: Postman) -> bool:
        async with http_server(stall) as server:
            task = asyncio.create_task(postman.send(replace(CALL, url=server.url())))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

    assert run(work) is True


def test_nothing_is_logged_that_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    exchange(answer(), path="/services/T0/B0/webhook-secret")
    exchange(hang_up, path="/services/T0/B0/webhook-secret")
    assert "secret" not in caplog.text


def test_tls_is_verified() -> None:
    async def work(postman: Postman) -> list[Reply]:
        async with http_server(answer(), tls=True) as server:
            urls = [server.url(scheme="https", host=host) for host in ("localhost", "127.0.0.1", "wrong.example")]
            return [await postman.send(replace(CALL, url=url)) for url in urls]

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    trusted = run(work, ca_file=AUTHORITY, look_up=here)
    assert [reply.status for reply in trusted] == [200, 200, 0]
    assert trusted[2].error.startswith("the certificate is not trusted: Hostname mismatch")
    untrusted = run(work, look_up=here)
    assert [reply.status for reply in untrusted] == [0, 0, 0]
    assert all(reply.error.startswith("the certificate is not trusted: ") for reply in untrusted)
    assert not any(reply.sent_maybe for reply in untrusted)


@pytest.mark.parametrize("patience", ["the call's", "the caller's"])
def test_tls_with_one_who_never_answers(patience: str) -> None:
    """Whoever loses patience first, the socket is closed: an open one is a warning here, and warnings are faults."""

    async def work(postman: Postman) -> Reply | None:
        async with http_server(stall) as server:
            call = replace(CALL, url=server.url(scheme="https"), timeout_s=0.5 if patience == "the call's" else 5)
            task = asyncio.create_task(postman.send(call))
            if patience == "the caller's":
                await asyncio.sleep(0.3)
                task.cancel()
            await asyncio.wait([task])
            return None if task.cancelled() else task.result()

    reply = run(work)
    gc.collect()
    if patience == "the call's":
        assert reply.status == 0
        assert not reply.sent_maybe
    else:
        assert reply is None
