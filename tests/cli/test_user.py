"""People from the terminal: beside a running `serve` and without one; and the code that makes the first owner."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

from tests.cli.conftest import Box, free_port, wait_ready

SAM = "sam@example.com"
PASSWORD, OTHER = "tractor-lunar-vivid", "quilted-Fjord-otter-8"


def added(box: Box, email: str = SAM, role: str = "owner", *options: str) -> dict[str, Any]:
    done = box.run("user", "add", email, "--role", role, "--password-stdin", "--json", *options, stdin=f"{PASSWORD}\n")
    person: dict[str, Any] = json.loads(done.stdout)
    return person


def listed(box: Box) -> dict[str, dict[str, Any]]:
    return {one["email"]: one for one in json.loads(box.run("user", "list", "--json").stdout)["items"]}


def post(box: Box, path: str, body: dict[str, str]) -> httpx.Response:
    if not box.url:
        box.serving()
    return httpx.post(box.url + path, json=body, trust_env=False, timeout=30)


def sign_in(box: Box, email: str = SAM, password: str = PASSWORD) -> int:
    return post(box, "/api/auth/sign-in", {"email": email, "password": password}).status_code


def test_a_person_with_a_password_signs_in_at_once(either: Box) -> None:
    assert either.run("user", "list").stdout == "Nobody yet.\n"
    person = added(either)
    assert (person["email"], person["name"], person["role"]) == (SAM, "sam", "owner")
    assert listed(either)[SAM] == person
    assert "owner" in either.run("user", "list").stdout
    assert sign_in(either) == 200


def test_an_invitation_is_one_line_that_works_once(either: Box) -> None:
    done = either.run("user", "add", "kim@example.com", "--role", "admin")
    link = done.stdout.strip()
    assert re.fullmatch(r"http://[\w.:]+/join#[\w-]{43}", link)
    assert "once" in done.stderr
    token = link.partition("#")[2]
    body = {"token": token, "email": "kim@example.com", "name": "Kim", "password": PASSWORD}
    assert post(either, "/api/invitations/accept", body).status_code == 201
    assert post(either, "/api/invitations/accept", body).status_code == 410
    assert listed(either)["kim@example.com"]["role"] == "admin"
    made = json.loads(either.run("user", "add", "lee@example.com", "--json").stdout)
    assert set(made) == {"id", "url", "expires_at"}


def test_roles_change_and_people_go_but_the_last_owner_stays(either: Box) -> None:
    added(either)
    added(either, "kim@example.com", "viewer", "--name", "Kim Lee")
    assert json.loads(either.run("user", "role", "Kim@Example.com", "admin", "--json").stdout)["name"] == "Kim Lee"
    assert "last owner" in either.refused("user", "role", SAM, "admin", code=1)
    assert "last owner" in either.refused("user", "remove", SAM, code=1)
    either.run("user", "role", "kim@example.com", "owner")
    either.run("user", "remove", SAM)
    assert set(listed(either)) == {"kim@example.com"}
    assert sign_in(either) == 401


@pytest.mark.whole
def test_a_new_password_by_link_or_at_once(either: Box) -> None:
    added(either)
    link = either.run("user", "reset-password", SAM).stdout.strip()
    body = {"token": link.partition("#")[2], "password": OTHER}
    assert post(either, "/api/auth/reset", body).status_code == 204
    assert sign_in(either, password=OTHER) == 200
    done = either.run("user", "reset-password", SAM, "--password-stdin", stdin="plover-Gravel-under\n")
    assert "signed out everywhere" in done.stderr
    assert (sign_in(either, password=OTHER), sign_in(either, password="plover-Gravel-under")) == (401, 200)


@pytest.mark.whole
def test_who_failed_too_often_is_let_in_again(box: Box) -> None:
    box.serving()
    added(box)
    for _ in range(2):
        for _ in range(5):
            sign_in(box, password=OTHER)
        box.run("user", "unlock", SAM)
    assert sign_in(box) == 429, "an address waits for itself"
    assert listed(box)[SAM]["locked_until"] is None


@pytest.mark.whole
def test_what_user_refuses(either: Box) -> None:
    assert "nobody here" in either.refused("user", "role", "nobody@example.com", "admin", code=1)
    assert "nobody here" in either.refused("user", "remove", "nobody@example.com", code=1)
    assert "email" in either.refused("user", "add", "no-address")
    assert "boss" in either.refused("user", "add", SAM, "--role", "boss")
    for bad, said in (("", "needed"), ("short\n", "at least 12"), ("Password1234!\n", "easy to guess")):
        done = either.run("user", "add", SAM, "--password-stdin", stdin=bad, code=2)
        assert said in done.stderr
    added(either)
    again = either.run("user", "add", SAM, "--password-stdin", stdin=PASSWORD, code=1)
    assert "already" in again.stderr
    assert "already" in either.refused("user", "add", SAM, code=1)


@pytest.mark.whole
@pytest.mark.parametrize("path", ["/control/people", "/control/people/0000000000000/password"])
def test_the_boxs_own_doors_are_closed_to_the_network(box: Box, path: str) -> None:
    box.serving()
    key = box.run("apikey", "create", "--name", "x", "--scopes", "admin").stdout.strip()
    body = {"email": "eve@example.com", "name": "Eve", "role": "owner", "password": PASSWORD}
    answer = httpx.post(box.url + path, json=body, headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    assert answer.status_code == 404


# -- the first owner --------------------------------------------------------------------------------------------------


def said_at_start(box: Box) -> str:
    """What `serve` prints on standard output until it is ready, and a little longer."""
    port = free_port()
    box.url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [sys.executable, "-m", "signalcraft", "serve", "--listen", f"127.0.0.1:{port}"],
        env=box.env, cwd=box.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            wait_ready(box.url, process)
            assert process.stdout is not None
            said, deadline = b"", time.monotonic() + 30
            while not said.endswith(b"--password-stdin\n") and time.monotonic() < deadline:
                if select.select([process.stdout], [], [], 0.5)[0]:
                    said += process.stdout.read1()  # type: ignore[attr-defined]
        finally:
            process.terminate()
    return said.decode()


@pytest.mark.whole
def test_serve_prints_a_setup_code_as_long_as_there_is_no_owner(box: Box) -> None:
    first, second = said_at_start(box), said_at_start(box)
    codes = [re.findall(r"with the code (\w{4}-\w{4}-\w{4})\n", said) for said in (first, second)]
    assert len(codes[0]) == len(codes[1]) == 1
    assert codes[0] != codes[1]
    assert box.url in second
    box.url = ""
    body = {"email": SAM, "name": "Sam", "password": PASSWORD}
    assert post(box, "/api/auth/setup", {"code": codes[1][0], **body}).status_code == 401, "from before this start"
    added(box)
    box.close()
    assert said_at_start(box) == ""
