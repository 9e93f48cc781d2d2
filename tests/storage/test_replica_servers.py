"""The replica on real servers: S3 in a process of its own, and SFTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalcraft.config import load
from signalcraft.config.replica import Replica
from signalcraft.config.secret import Secret
from signalcraft.errors import NoReplica
from signalcraft.storage import litestream
from signalcraft.storage.litestream import command
from tests.standins.s3 import S3
from tests.standins.sftp import PASSWORD, Sftp
from tests.storage.test_litestream import Box, read, started


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[Sftp]:
    (tmp_path / "server").mkdir()
    with Sftp(tmp_path / "server") as server:
        yield server


def on_s3(server: S3, prefix: str, **other: str) -> Replica:
    said = {"url": server.url(prefix), "access_key_id": server.key_id, "secret_access_key": server.secret, **other}
    return load(overrides={f"replica.{name}": text for name, text in said.items()}, environ={}).settings.replica


def on_sftp(server: Sftp, **other: str) -> Replica:
    said = {"url": server.url, "sftp_password": PASSWORD, "sftp_host_key": server.host_key, **other}
    return load(overrides={f"replica.{name}": text for name, text in said.items()}, environ={}).settings.replica


def there_and_back(tmp_path: Path, replica: Replica) -> litestream.Place:
    box = Box(tmp_path, replica)

    async def work() -> None:
        child = litestream.Child(box.data, replica)
        await started(child, place)
        box.put("colour", "blue")
        await child.sync(10)
        child.kill()

    place = litestream.claim(box.data, replica, 1)
    asyncio.run(work())
    restored = litestream.restore(replica, tmp_path / "back.db")
    assert read(tmp_path / "back.db", "colour") == "blue"
    assert restored.generation == litestream.newest(replica).generation == place.generation
    assert litestream.lost(place, replica) is None
    box.db.stop()
    return place


@pytest.mark.whole
def test_s3_holds_a_copy_and_gives_it_back(tmp_path: Path, s3: S3) -> None:
    place = there_and_back(tmp_path, on_s3(s3, "one"))
    assert place.generation == 1
    names = s3.keys()
    assert any(name.startswith("one/0001/db/") for name in names), names
    assert any(name.startswith("one/0001/box/") for name in names), names


@pytest.mark.whole
def test_the_next_box_on_s3_takes_the_next_number(tmp_path: Path, s3: S3) -> None:
    replica = on_s3(s3, "two")
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        place = there_and_back(tmp_path / str(number), replica)
        assert place.generation == number
    assert [one.generation for one in litestream.generations(replica)] == [1, 2]


def test_a_server_that_is_away_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PATIENCE_S", 3.0)
    with pytest.raises(NoReplica, match=r"did not answer in 3 s|nobody answers there"):
        litestream.restore(on_s3(S3(), "three"), tmp_path / "x.db")  # a server that was not started
    assert not list(tmp_path.glob("x.db*"))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"secret_access_key": "wrong"}, r"secret is wrong: look at replica\.secret_access_key"),
        ({"access_key_id": "nobody-knows-this-id"}, r"not known there: look at replica\.access_key_id"),
    ],
)
def test_wrong_keys_are_one_sentence_that_holds_none(s3: S3, other: dict[str, str], sentence: str) -> None:
    with pytest.raises(NoReplica, match=sentence) as caught:
        litestream.newest(on_s3(s3, "four", **other))
    assert s3.secret not in caught.value.detail


def test_a_bucket_that_is_not_there_is_one_sentence(s3: S3) -> None:
    with pytest.raises(NoReplica, match="no such bucket"):
        litestream.newest(on_s3(s3, "x", url=s3.url("x").replace("s3://alerts", "s3://nowhere")))


@pytest.mark.whole
def test_sftp_holds_a_copy_and_gives_it_back(tmp_path: Path, sftp: Sftp) -> None:
    there_and_back(tmp_path, on_sftp(sftp))
    assert list((tmp_path / "server" / "hub" / "0001" / "db").rglob("*.ltx"))


def test_a_wrong_password_and_another_servers_key_are_one_sentence_each(tmp_path: Path, sftp: Sftp) -> None:
    with pytest.raises(NoReplica, match=r"does not let us in.*replica\.sftp_password"):
        litestream.newest(on_sftp(sftp, sftp_password="wrong"))
    with Sftp(tmp_path) as stranger, pytest.raises(NoReplica, match=r"another one than replica\.sftp_host_key"):
        litestream.newest(on_sftp(sftp, sftp_host_key=stranger.host_key))


def test_a_private_key_lets_in_too_or_says_why_not(tmp_path: Path, sftp: Sftp) -> None:
    (tmp_path / "key").write_text("not a key")
    replica = Replica(url=sftp.url, sftp_key_path=str(tmp_path / "key"), sftp_host_key=sftp.host_key)
    with pytest.raises(NoReplica, match="key"):
        litestream.newest(replica)
    assert Secret("") == replica.sftp_password
