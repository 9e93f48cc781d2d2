"""Slack Socket Mode against a real WebSocket server: acknowledged before acted on, renewed, loud in trouble."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from signalcraft.channels import slack
from signalcraft.postman import Postman, SocketMode
from tests.postman.loopback import AUTHORITY, answer, http_server
from tests.postman.socket_slack import PRESS, TOKEN, FakeSlack, Heard, Play, envelope, hello, running, until


async def stay(socket: ServerConnection, fake: FakeSlack) -> None:
    await socket.send(hello())
    await socket.wait_closed()


def test_a_press_is_acknowledged_before_it_is_acted_on() -> None:
    """Slack waits three seconds; acting may wait for a lock, a disk or a person."""

    async def main() -> None:
        heard = Heard()
        acknowledged = asyncio.Event()
        acting: list[bool] = []

        async def act(payload: dict[str, Any]) -> None:
            await asyncio.wait_for(acknowledged.wait(), 3)
            acting.append(acknowledged.is_set())

        async def scene(socket: ServerConnection, fake: FakeSlack) -> None:
            await socket.send(hello())
            await socket.send(envelope(1))
            await socket.send(envelope(2))
            await fake.hears_ack(socket)
            await fake.hears_ack(socket)
            acknowledged.set()
            await socket.wait_closed()

        heard.act = act
        fake = FakeSlack(scene)
        async with running(fake, heard):
            await until(lambda: len(heard.payloads) == 2, "two presses")
        assert fake.acks == ["e1", "e2"]
        assert acting == [True, True]
        assert heard.payloads == [PRESS, PRESS]
        assert heard.warnings == []
        (act_heard,) = slack.parse_payload(heard.payloads[0])
        assert (act_heard.verb, act_heard.who_id) == ("ack", "U0ANN")

    asyncio.run(main())


def test_the_token_opens_the_connection() -> None:
    async def main() -> None:
        fake, heard = FakeSlack(stay), Heard()
        async with running(fake, heard) as mode:
            await until(lambda: mode.connected, "connected")
            assert mode.trouble == ""
        assert not mode.connected
        (request,) = fake.opened
        assert request.startswith(b"POST /api/apps.connections.open HTTP/1.1\r\n")
        assert f"Authorization: Bearer {TOKEN}\r\n".encode() in request

    asyncio.run(main())


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def main() -> None:
        fake, heard = FakeSlack(stay), Heard()
        async with running(fake, heard) as mode:
            await until(lambda: mode.connected, "connected")

    asyncio.run(main())


def test_other_envelopes_are_acknowledged_and_left() -> None:
    async def main() -> None:
        async def scene(socket: ServerConnection, fake: FakeSlack) -> None:
            await socket.send(hello())
            await socket.send("not json")
            await socket.send("[1]")
            await socket.send(json.dumps({"type": "something_new"}))
            await socket.send(envelope(1, {"command": "/x"}, "slash_commands"))
            await socket.send(envelope(2, {"event": {}}, "events_api"))
            await socket.send(envelope(3, "no object"))
            await socket.send(envelope(4))
            for _ in range(4):
                await fake.hears_ack(socket)
            await socket.wait_closed()

        fake, heard = FakeSlack(scene), Heard()
        async with running(fake, heard):
            await until(lambda: len(heard.payloads) == 1, "one press")
        assert fake.acks == ["e1", "e2", "e3", "e4"]

    asyncio.run(main())


def test_an_envelope_sent_again_is_acted_on_once() -> None:
    async def main() -> None:
        async def scene(socket: ServerConnection, fake: FakeSlack) -> None:
            await socket.send(hello())
            for number in (1, 1, 2):
                await socket.send(envelope(number))
                await fake.hears_ack(socket)
            await socket.wait_closed()

        fake, heard = FakeSlack(scene), Heard()
        async with running(fake, heard):
            await until(lambda: len(fake.acks) == 3, "three acknowledgements")
        assert len(heard.payloads) == 2

    asyncio.run(main())


async def renew(socket: ServerConnection, fake: FakeSlack) -> None:
    await socket.send(hello())
    await socket.send(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))
    await socket.wait_closed()


async def drop(socket: ServerConnection, fake: FakeSlack) -> None:
    await socket.send(hello())
    await asyncio.sleep(0.01)
    socket.transport.abort()


async def press(socket: ServerConnection, fake: FakeSlack) -> None:
    await socket.send(hello())
    await socket.send(envelope(fake.connections))
    await fake.hears_ack(socket)
    await socket.wait_closed()


@pytest.mark.parametrize("end", [renew, drop])
def test_a_connection_that_ends_is_followed_by_another(end: Play) -> None:
    async def main() -> None:
        fake, heard = FakeSlack(end, press), Heard()
        async with running(fake, heard):
            await until(lambda: len(heard.payloads) == 1, "a press on the second connection")
        assert fake.connections == 2
        assert len(fake.opened) == 2, "every connection has an address of its own"
        assert heard.warnings == []
        assert heard.pauses == [0.5]

    asyncio.run(main())


def test_renewal_that_goes_in_circles_slows_down() -> None:
    async def main() -> None:
        fake, heard = FakeSlack(renew), Heard()
        async with running(fake, heard):
            await until(lambda: len(heard.pauses) >= 9, "nine pauses")
        assert heard.pauses[:9] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]

    asyncio.run(main())


@pytest.mark.parametrize(("connections", "warned"), [(1, False), (2, True)])
def test_two_programs_on_one_app_are_noticed(connections: int, warned: bool) -> None:
    async def main() -> None:
        async def scene(socket: ServerConnection, fake: FakeSlack) -> None:
            await socket.send(hello(connections))
            await socket.wait_closed()

        fake, heard = FakeSlack(scene), Heard()
        async with running(fake, heard) as mode:
            await until(lambda: mode.connected, "connected")
        assert [w[:42] for w in heard.warnings] == (
            ["two programs share this Slack app by Socket"[:42]] if warned else []
        )

    asyncio.run(main())


def no(error: str) -> bytes:
    return answer(json.dumps({"ok": False, "error": error}).encode())


@pytest.mark.parametrize(
    ("first", "pause"),
    [
        (answer(b"", "429 Too Many Requests", "Retry-After: 17\r\n"), 17.0),
        (answer(b"<html>", "503 Service Unavailable"), 1.0),
        (answer(b"<html>"), 1.0),
        (no("internal_error"), 1.0),
        (answer(b'{"ok":true}'), 1.0),
        (answer(b'{"ok":true,"url":"https://evil.example/"}'), 1.0),
        (answer(b'{"ok":true,"url":"ws://127.0.0.1:1/?ticket=very-secret"}'), 1.0),
    ],
)
def test_what_passes_is_tried_again(first: bytes, pause: float) -> None:
    async def main() -> None:
        fake, heard = FakeSlack(press), Heard()
        fake.answers = [first]
        async with running(fake, heard):
            await until(lambda: len(heard.payloads) == 1, "a press after the second try")
        assert heard.pauses[0] == pause
        assert heard.warnings == []

    asyncio.run(main())


def test_trouble_that_stays_is_told_and_slows_down() -> None:
    async def main() -> None:
        fake, heard = FakeSlack(stay), Heard()
        fake.answers = [no("internal_error")] * 8
        async with running(fake, heard) as mode:
            await until(lambda: mode.connected, "connected at last")
            assert mode.trouble == ""
        assert heard.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
        assert heard.warnings == ["Slack buttons do not work: Slack said no (internal_error)"]

    asyncio.run(main())


@pytest.mark.parametrize("error", ["invalid_auth", "missing_scope", "not_allowed_token_type", "token_revoked"])
def test_what_a_person_must_mend_is_told_at_once(error: str) -> None:
    async def main() -> None:
        fake, heard = FakeSlack(stay), Heard()
        fake.answers = [no(error)] * 2
        async with running(fake, heard) as mode:
            await until(lambda: mode.connected, "connected once it was mended")
        assert len(heard.warnings) == 1
        assert f"({error})" in heard.warnings[0]
        assert heard.pauses == [300, 300]

    asyncio.run(main())


def test_socket_mode_switched_off_is_told() -> None:
    async def main() -> None:
        async def off(socket: ServerConnection, fake: FakeSlack) -> None:
            await socket.send(json.dumps({"type": "disconnect", "reason": "link_disabled"}))
            await socket.wait_closed()

        fake, heard = FakeSlack(off, stay), Heard()
        async with running(fake, heard) as mode:
            await until(lambda: mode.connected, "connected")
        assert heard.warnings == [
            "Slack buttons do not work: Socket Mode is switched off on the Slack app's page: switch it on there"
        ]

    asyncio.run(main())


def test_what_was_acknowledged_is_acted_on_before_the_end() -> None:
    async def main() -> None:
        heard = Heard()

        async def slow(payload: dict[str, Any]) -> None:
            await asyncio.sleep(0.3)

        heard.act = slow
        fake = FakeSlack(press)
        async with running(fake, heard):
            await until(lambda: bool(fake.acks), "acknowledged")
            assert heard.payloads == []
        assert heard.payloads == [PRESS]

    asyncio.run(main())


def test_one_press_that_fails_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        heard = Heard()
        seen = 0

        async def fail_first(payload: dict[str, Any]) -> None:
            nonlocal seen
            seen += 1
            if seen == 1:
                raise RuntimeError(f"cannot act on {payload}")

        async def scene(socket: ServerConnection, fake: FakeSlack) -> None:
            await socket.send(hello())
            for number in (1, 2):
                await socket.send(envelope(number))
                await fake.hears_ack(socket)
            await socket.wait_closed()

        heard.act = fail_first
        async with running(FakeSlack(scene), heard):
            await until(lambda: len(heard.payloads) == 1, "the second press")

    asyncio.run(main())
    assert "could not be acted on" in caplog.text
    assert "very-secret" not in caplog.text


def test_it_can_be_stopped_while_it_waits() -> None:
    async def main() -> None:
        fake = FakeSlack(stay)
        heard = Heard()
        fake.answers = [no("invalid_auth")] * 100
        async with http_server(fake.open) as api:
            mode = SocketMode(TOKEN, api.url("/api/"), heard.on_payload, heard.warnings.append)
            task = asyncio.create_task(mode.run())
            await until(lambda: bool(heard.warnings), "a warning")
            began = time.monotonic()
            await mode.stop()
            await asyncio.wait_for(task, 15)
            assert time.monotonic() - began < 15

    asyncio.run(main())


def test_it_can_be_stopped_before_it_ran() -> None:
    async def main() -> None:
        heard = Heard()
        mode = SocketMode(TOKEN, "http://127.0.0.1:1/api/", heard.on_payload, heard.warnings.append)
        await mode.stop()
        await asyncio.wait_for(mode.run(), 2)

    asyncio.run(main())


def test_it_can_be_cancelled() -> None:
    async def main() -> None:
        fake, heard = FakeSlack(stay), Heard()
        async with http_server(fake.open) as api:
            mode = SocketMode(TOKEN, api.url("/api/"), heard.on_payload, heard.warnings.append, sleep=heard.sleep)
            task = asyncio.create_task(mode.run())
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.wait([task], timeout=2)
            assert task.cancelled()

    asyncio.run(main())


def test_tls_is_verified_with_the_postmans_authorities() -> None:
    async def main() -> None:
        postman = Postman(ca_file=AUTHORITY)
        fake, heard = FakeSlack(stay), Heard()
        async with running(fake, heard, tls=True, postman=postman) as mode:
            await until(lambda: mode.connected, "connected")
        await postman.close()

        stranger = FakeSlack(stay)
        async with running(stranger, heard, tls=True) as mode:
            await until(lambda: bool(mode.trouble), "trouble")
            assert mode.trouble.startswith("the certificate is not trusted: ")
        assert stranger.connections == 0

    asyncio.run(main())


def test_nothing_it_says_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "websockets"):
        assert logging.getLogger(name).getEffectiveLevel() >= logging.WARNING

    async def main() -> None:
        fake, heard = FakeSlack(drop, press), Heard()
        fake.answers = [answer(b'{"ok":true,"url":"ws://127.0.0.1:1/?ticket=very-secret"}'), no("invalid_auth")]
        async with running(fake, heard) as mode:
            await until(lambda: len(heard.payloads) == 1, "a press")
            assert "very-secret" not in repr(mode)
        assert "very-secret" not in "".join(heard.warnings)

    asyncio.run(main())
    ours = "\n".join(
        record.getMessage() + repr(record.__dict__)
        for record in caplog.records
        if not record.name.startswith("websockets.server")
    )
    assert "not connected" in ours
    assert "very-secret" not in ours
