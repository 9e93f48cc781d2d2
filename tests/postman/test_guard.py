"""A user's call reaches nothing inside our own network, however the address is spelt or the name behaves."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from signalcraft.domain.delivery import HttpCall, Reply
from signalcraft.errors import BadSetting
from signalcraft.postman import Postman
from tests.postman.loopback import AUTHORITY, answer, http_server
from tests.postman.test_http import run

CALL = HttpCall(method="POST", url="", headers={}, body=b"{}", timeout_s=5.0)


def reached(host: str, *, ipv6: bool = False, private_ok: bool = False, **settings: Any) -> tuple[Reply, int]:
    """The reply of a call to a server on loopback under that host, and how many requests the server saw."""

    async def work(postman: Postman) -> tuple[Reply, int]:
        async with http_server(answer(), host="::1" if ipv6 else "127.0.0.1") as server:
            reply = await postman.send(replace(CALL, url=server.url(host=host), private_ok=private_ok))
            return reply, server.connections

    found: tuple[Reply, int] = run(work, **settings)
    return found


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "0.0.0.0",
        "0",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[::]",
        "①②⑦.⓪.⓪.①",
    ],
)
def test_loopback_in_every_spelling(host: str) -> None:
    reply, connections = reached(host)
    assert connections == 0
    assert reply.status == 0
    assert not reply.sent_maybe
    assert reply.error.startswith("blocked: ") or "no address" in reply.error or "not valid" in reply.error


def test_ipv6_loopback() -> None:
    reply, connections = reached("[::1]", ipv6=True)
    assert (reply.error, connections) == ("blocked: ::1 leads to a loopback address", 0)
    assert reached("[::1]", ipv6=True, private_ok=True)[0].status == 200


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_inside_is_not_followed(code: int) -> None:
    """Nor any other: the address of the answer is nobody's whom we checked."""

    async def work(postman: Postman) -> tuple[Reply, int]:
        async with http_server(answer()) as inside:
            moved = f"HTTP/1.1 {code} Moved\r\nLocation: {inside.url()}\r\nContent-Length: 0\r\n\r\n".encode()
            async with http_server(moved) as outside:
                reply = await postman.send(replace(CALL, url=outside.url(host="shop.example")))
                return reply, inside.connections

    reply, connections = run(work, allow=["shop.example"], look_up=to("127.0.0.1"))
    assert (reply.status, connections) == (code, 0)


def test_a_name_that_changes_its_mind_between_two_calls_is_judged_each_time() -> None:
    async def work(postman: Postman) -> tuple[list[Reply], int]:
        async with http_server(answer(close=True)) as server:
            url = server.url(host="shop.example")
            return [await postman.send(replace(CALL, url=url)) for _ in range(2)], server.connections

    replies, connections = run(work, allow=["127.0.0.1"], look_up=to("127.0.0.1", "10.0.0.1"))
    assert replies[0].status == 200
    assert replies[1].error == "blocked: shop.example leads to a private address"
    assert connections == 1


def test_this_boxs_own_public_address_is_inside_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall in front of it lets through what comes from the box itself."""
    monkeypatch.setattr("signalcraft.postman.reach.objection", lambda address, allowed: "")  # as if it were public
    assert reached("shop.example", look_up=to("127.0.0.1"))[0].error == "blocked: shop.example leads to this box itself"
    assert reached("shop.example", look_up=to("127.0.0.1"), allow=["127.0.0.1"])[0].status == 200


@pytest.mark.parametrize("address", ["168.63.129.16", "100.100.100.200", "192.0.0.192", "::ffff:169.254.169.254"])
def test_no_clouds_metadata_service_is_reached(address: str) -> None:
    assert reached("shop.example", look_up=to(address))[0].error.startswith("blocked: shop.example leads to ")


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "10.0.0.1", "192.168.1.1", "[fe80::1]", "[fd00:ec2::254]", "[ff02::1]"]
)
def test_the_rest_of_the_inside(host: str) -> None:
    async def work(postman: Postman) -> Reply:
        return await postman.send(replace(CALL, url=f"http://{host}/latest/meta-data/"))

    assert run(work).error.startswith("blocked: ")


def to(*addresses: str) -> Any:
    """A name server that gives these addresses, first call first; the last goes on for ever."""
    answers = [list(a.split(",")) for a in addresses]

    async def look_up(host: str, port: int) -> list[str]:
        look_up.asked.append(host)  # type: ignore[attr-defined]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    look_up.asked = []  # type: ignore[attr-defined]
    return look_up


@pytest.mark.parametrize(
    "addresses", ["127.0.0.1", "8.8.8.8,127.0.0.1", "::ffff:127.0.0.1", "10.1.2.3", "fe80::1%eth0"]
)
def test_a_name_that_leads_inside(addresses: str) -> None:
    reply, connections = reached("shop.example", look_up=to(addresses))
    assert reply.error.startswith("blocked: shop.example leads to ")
    assert connections == 0


def test_the_address_that_was_checked_is_the_one_connected() -> None:
    """A name that answers well to the check and badly afterwards finds no afterwards: it is asked once a connection."""
    look_up = to("127.0.0.1", "10.0.0.1")
    reply, connections = reached("shop.example", look_up=look_up, allow=["127.0.0.0/8"])
    assert (reply.status, connections) == (200, 1)
    assert look_up.asked == ["shop.example"]


def test_host_and_tls_keep_the_name() -> None:
    async def work(postman: Postman) -> tuple[Reply, bytes]:
        async with http_server(answer(), tls=True) as server:
            reply = await postman.send(replace(CALL, url=server.url(host="shop.example", scheme="https")))
            return reply, server.requests[0]

    reply, request = run(work, allow=["127.0.0.1"], ca_file=AUTHORITY, look_up=to("127.0.0.1"))
    assert reply.status == 200
    assert b"Host: shop.example:" in request


@pytest.mark.parametrize("allow", [["127.0.0.0/8"], ["127.0.0.1"], ["localhost"], ["*.example", "localhost"]])
def test_what_the_operator_allows(allow: list[str]) -> None:
    assert reached("localhost", allow=allow, look_up=to("127.0.0.1"))[0].status == 200


@pytest.mark.parametrize("allow", [[], ["10.0.0.0/8"], ["other.example"], ["*.localhost"]])
def test_what_he_does_not(allow: list[str]) -> None:
    assert reached("localhost", allow=allow, look_up=to("127.0.0.1"))[0].error.startswith("blocked: ")


def test_the_operators_own_addresses_need_no_leave() -> None:
    assert reached("127.0.0.1", private_ok=True)[0].status == 200


def test_a_users_call_cannot_ride_on_the_operators_connection() -> None:
    async def work(postman: Postman) -> tuple[Reply, Reply, int]:
        async with http_server(answer()) as server:
            own = await postman.send(replace(CALL, url=server.url(), private_ok=True))
            users = await postman.send(replace(CALL, url=server.url()))
            return own, users, len(server.requests)

    own, users, requests = run(work)
    assert own.status == 200
    assert users.error.startswith("blocked: ")
    assert requests == 1


def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    assert reached("shop.example", allow=["127.0.0.0/8", "::1"], look_up=to("::1,127.0.0.1"))[0].status == 200


def test_wrong_settings_stop_the_start() -> None:
    with pytest.raises(BadSetting):
        Postman(allow=["10.0.0.0/99"])
    with pytest.raises(BadSetting):
        Postman(ca_file="/nonexistent/authority.pem")
    with pytest.raises(BadSetting):
        Postman(ca_file=__file__)
