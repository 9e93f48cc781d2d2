"""Questions in SQL: answered over one workspace's numbers and archive, and nothing else can be reached or changed."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from signalcraft.errors import Invalid
from signalcraft.storage.rollups import querying
from signalcraft.storage.rollups.querying import Question, Table, answered, ask
from tests.storage.numbers import DAY_MS, START_MS, House, archive, some_life


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    house = House(folder)
    some_life(house, 90)
    archive(house, START_MS + 2 * DAY_MS)
    house.fold()
    house.close()
    (folder / "archive" / "2").mkdir()
    (folder / "archive" / "2" / "secret.parquet").write_bytes(
        (folder / "archive" / "1" / "event" / "2026-03.1.parquet").read_bytes()
    )
    return folder


def asked(folder: Path, sql: str, workspace_id: int = 1, rows: int = 100, seconds: float = 10) -> Table:
    database = str(folder / "signalcraft.db")
    return answered(Question(database=database, workspace_id=workspace_id, sql=sql, rows=rows, seconds=seconds))


def test_numbers_and_archive_are_tables(folder: Path) -> None:
    table = asked(folder, "select dimension, sum(n) as n from days where what = 'events' group by 1 order by 1")
    assert table.wrong == ""
    assert [name for name, _ in table.columns] == ["dimension", "n"]
    whole = dict(table.rows)["all"]
    archived = asked(folder, "select count(*), min(received_ms) from archived_event").rows[0]
    assert 0 < archived[0] < whole
    assert archived[1] >= START_MS
    joined = asked(
        folder,
        "select l.label, sum(n) from days d join label l using (dimension, name)"
        " where what = 'events' group by 1 order by 1",
    )
    assert [row[0] for row in joined.rows] == ["sender 1", "sender 2"]
    assert asked(folder, "from hours limit 3").rows != []
    assert asked(folder, "with x as (select * from minutes) select count(*) from x").wrong == ""


def test_another_workspace_sees_neither(folder: Path) -> None:
    assert asked(folder, "select count(*) from days", 2).rows == [[0]]
    assert asked(folder, "select count(*) from label", 2).rows == [[0]]
    assert "archived_event" in asked(folder, "select count(*) from archived_event", 2).wrong
    mine = folder / "archive" / "1" / "event" / "2026-03.1.parquet"
    assert "ermission" in asked(folder, f"select * from read_parquet('{mine}')", 2).wrong
    theirs = folder / "archive" / "2" / "secret.parquet"
    assert "ermission" in asked(folder, f"select * from '{theirs}'").wrong


ESCAPES = [
    "select * from read_csv('/etc/passwd')",
    "select * from read_csv_auto('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select * from read_json('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from 'file:///etc/passwd'",
    "select * from '{folder}/signalcraft.db'",
    "select * from read_blob('{folder}/signalcraft.db')",
    "select * from '{folder}/metrics.duckdb'",
    "select * from glob('/etc/*')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from parquet_metadata('/etc/passwd')",
    "select * from sqlite_scan('{folder}/signalcraft.db', 'person')",
    "select * from read_parquet('https://example.com/x.parquet')",
    "copy (select 1) to '{folder}/out.csv'",
    "copy days to '{folder}/out.parquet'",
    "copy days to '{folder}/archive/1/event/2026-03.1.parquet'",
    "export database '{folder}/out'",
    "attach '{folder}/metrics.duckdb' as m",
    "attach '{folder}/new.duckdb' as m",
    "detach memory",
    "install httpfs",
    "load httpfs",
    "pragma database_list",
    "pragma enable_profiling",
    "set enable_external_access = true",
    "set memory_limit = '100GB'",
    "set threads = 64",
    "reset lock_configuration",
    "set temp_directory = '{folder}'",
    "call pragma_version()",
    "create table x as select 1",
    "create macro f() as 1",
    "insert into days select * from days",
    "delete from days",
    "drop table days",
    "begin",
    "checkpoint",
    "vacuum",
    "select 1; copy (select 1) to '{folder}/out.csv'",
    "select 1; select 2",
    "explain analyze select 1",
    "select getenv('PATH')",
    "select * from question",
    "select * from query('copy (select 1) to ''{folder}/out.csv''')",
    "select * from which_secret('x', 's3')",
    "prepare x as select 1",
    "use numbers",
    "select * from numbers.days",
    "",
    "-- nothing",
    "not sql at all",
]


@pytest.mark.parametrize("sql", ESCAPES)
def test_nothing_else_can_be_read_or_changed(folder: Path, sql: str) -> None:
    before = tree(folder)
    table = asked(folder, sql.replace("{folder}", str(folder)))
    assert table.wrong != "", table
    assert "root:" not in str(table.rows)
    assert tree(folder) == before


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".db-shm", ".db-wal")
    }


def test_the_settings_are_locked(folder: Path) -> None:
    said = asked(
        folder,
        "select name, value from duckdb_settings() where name in ('enable_external_access', 'lock_configuration',"
        " 'autoload_known_extensions', 'autoinstall_known_extensions', 'python_enable_replacements', 'threads')",
    )
    assert dict(said.rows) == {
        "enable_external_access": "false", "lock_configuration": "true", "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false", "python_enable_replacements": "false", "threads": "1",
    }  # fmt: skip


def test_a_question_has_a_time_a_size_and_a_number_of_rows(folder: Path) -> None:
    began = time.perf_counter()
    table = asked(folder, "select count(*) from range(100000000000) a, range(1000) b", seconds=1)
    assert "longer than 1 s" in table.wrong
    assert time.perf_counter() - began < 15
    memory = asked(folder, "select string_agg(repeat('x', 1000000), '') from range(1000)")
    assert memory.wrong != ""
    cut = asked(folder, "select * from range(5000)", rows=10)
    assert (len(cut.rows), cut.cut) == (10, True)
    whole = asked(folder, "select * from range(10)", rows=10)
    assert (len(whole.rows), whole.cut) == (10, False)
    assert "larger than" in asked(folder, "select repeat('x', 10000) from range(5000)", rows=5_000).wrong


def test_values_of_every_type_can_be_told(folder: Path) -> None:
    (row,) = asked(
        folder,
        "select 1, 2.5::double, 'NaN'::double, true, null, timestamp '2026-03-01 10:00:00',"
        " 'ab'::blob, [1, 2], {'a': 1},"
        " 12345678901234567890::hugeint, 1.5::decimal(9, 2)",
    ).rows
    assert row[:5] == [1, 2.5, None, True, None]
    assert row[5:7] == ["2026-03-01 10:00:00", "6162"]
    assert row[9] == 12345678901234567890


def test_it_is_asked_in_a_process_of_its_own_without_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALCRAFT_SLACK__API_URL", "https://secret.example.com")
    question = Question(database=str(folder / "signalcraft.db"), workspace_id=1, sql="select sum(n) from days")
    assert ask(question).rows[0][0] > 0
    with pytest.raises(Invalid, match="SELECT"):
        ask(Question(database=str(folder / "signalcraft.db"), workspace_id=1, sql="drop table days"))
    with pytest.raises(Invalid, match="at most"):
        ask(Question(database=str(folder / "signalcraft.db"), workspace_id=1, sql="select " + "1" * 30_000))
    monkeypatch.setattr(querying, "_START_S", 0.0)
    with pytest.raises(Invalid, match="more time or memory"):
        ask(Question(database=str(folder / "signalcraft.db"), workspace_id=1, sql="select 1", seconds=0.01))


def test_without_numbers_it_says_so(tmp_path: Path) -> None:
    table = asked(tmp_path, "select * from days")
    assert "days" in table.wrong
    assert asked(tmp_path, "select 1").rows == [[1]]
