"""What an ACME client leaves for an authority is answered on the plain port, and nothing else of the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from signalcraft.config import load
from signalcraft.errors import BadSetting
from tests.main.pairs import pair
from tests.main.test_tls import Secure
from tests.world import free_port

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
ANSWER = f"{TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
PLACE = ".well-known/acme-challenge"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    folder = tmp_path_factory.mktemp("challenges")
    root, port = folder / "www", free_port()
    (root / PLACE).mkdir(parents=True)
    more = {"http.redirect_listen": f"127.0.0.1:{port}", "http.acme_webroot": str(root)}
    with (
        Secure(folder / "data", **pair(folder / "tls"), **more),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield client, root


def test_an_answer_is_served_as_it_lies_there(plain: tuple[httpx.Client, Path]) -> None:
    client, root = plain
    assert client.get(f"/{PLACE}/{TOKEN}").status_code == 308
    (root / PLACE / TOKEN).write_text(ANSWER)
    answer = client.get(f"/{PLACE}/{TOKEN}")
    assert (answer.status_code, answer.text) == (200, ANSWER)
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = client.head(f"/{PLACE}/{TOKEN}")
    assert (head.status_code, head.text, head.headers["content-length"]) == (200, "", str(len(ANSWER)))
    assert client.post(f"/{PLACE}/{TOKEN}").status_code == 308


@pytest.mark.parametrize("name", ["../../secret", "..%2f..%2fsecret", "link", "folder", "large", "a.txt", "%00", ""])
def test_nothing_else_of_the_disk_is(plain: tuple[httpx.Client, Path], name: str) -> None:
    client, root = plain
    place = root / PLACE
    (root / "secret").write_text("a secret")
    (place / "a.txt").write_text("a secret")
    (place / "large").write_text("a secret" * 200)
    (place / "folder").mkdir(exist_ok=True)
    if not (place / "link").is_symlink():
        (place / "link").symlink_to(root / "secret")
    answer = client.get(f"/{PLACE}/{name}")
    assert answer.status_code == 308
    assert "secret" not in answer.text


def test_without_a_plain_port_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting) as caught:
        load(overrides={"http.acme_webroot": str(tmp_path)}, environ={"HOME": str(tmp_path)})
    assert caught.value.path == "http.acme_webroot"
