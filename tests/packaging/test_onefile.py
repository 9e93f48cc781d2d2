"""The loader of the one file, on a small tree whose program is a shell script: where it unpacks, once; what is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.packaging.binary import compiler, script, tree
from tests.smalldisk import mounted, unmounted

SAYS = 'echo "$0|$_SIGNALCRAFT_FILE|$$|$*"; cat "${0%/*}/_internal/deep/data" | wc -c'
WAITS = "echo up; exec sleep 60"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two builds of a program that says where it is, one that waits, one for a newer C library."""
    compiler()
    onefile = script("onefile")
    folder = tmp_path_factory.mktemp("made")
    data = os.urandom(300_001)
    for name, version, says in (("first", "1.0.0", SAYS), ("second", "2.0.0", SAYS), ("waits", "3.0.0", WAITS)):
        work = folder / name
        onefile.write(tree(work / "tree", says, data=data, other=b""), folder / f"{name}.bin", version, work)
    return folder


class Home:
    """A person's home, and what the program finds in its environment."""

    def __init__(self, root: Path, made: Path) -> None:
        self.root, self.made = root, made
        (root / "home").mkdir()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(root / "home"), "TMPDIR": str(root)}
        self.cache = root / "home/.cache/signalcraft"

    def run(self, name: str = "first", *words: str, code: int = 0, **env: str) -> str:
        done = subprocess.run(
            [self.made / f"{name}.bin", *words], env={**self.env, **env}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    def trees(self, cache: Path | None = None) -> list[str]:
        """What lies there, by version."""
        found = os.listdir(cache or self.cache)
        return sorted(name.partition("-")[0] for name in found if name != ".lock")


@pytest.fixture
def home(tmp_path: Path, made: Path) -> Home:
    return Home(tmp_path, made)


def test_it_unpacks_once_and_becomes_the_program(home: Home) -> None:
    """The same process, with its arguments, told which file it came from; the second start writes nothing."""
    with subprocess.Popen(
        [home.made / "first.bin", "one", "two three"], env=home.env, stdout=subprocess.PIPE, text=True
    ) as process:
        said = process.communicate(timeout=60)[0].splitlines()
    program, file, pid, words = said[0].split("|")
    assert int(pid) == process.pid, "no second process stays in between"
    assert Path(program).parent.parent == home.cache
    assert (file, words, said[1]) == (str(home.made / "first.bin"), "one two three", "300001")
    before = {path: path.lstat().st_ctime_ns for path in home.cache.rglob("*")}
    home.run()
    assert {path: path.lstat().st_ctime_ns for path in home.cache.rglob("*")} == before
    assert {path.stat().st_mode & 0o077 for path in (home.cache, Path(program).parent, Path(program))} == {0}


def test_what_other_builds_and_kills_left_goes_at_the_next_start(home: Home) -> None:
    home.run("first")
    (home.cache / "1.5.0-half.part").mkdir()
    (home.cache / "1.5.0-half.part/file").write_bytes(b"x")
    home.run("second")
    assert home.trees() == ["2.0.0"]


def test_a_tree_in_use_stays_until_its_process_ends(home: Home) -> None:
    with subprocess.Popen([home.made / "waits.bin"], env=home.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        home.run("first")
        assert home.trees() == ["1.0.0", "3.0.0"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    home.run("first")
    assert home.trees() == ["1.0.0"], "a kill leaves neither a process nor a folder"


def test_a_kill_in_the_middle_of_unpacking_leaves_nothing(home: Home) -> None:
    """Killed again and again while it unpacks; the next start is whole."""
    for wait in (0.001, 0.003, 0.006, 0.01, 0.02):
        with subprocess.Popen([home.made / "first.bin"], env=home.env, stdout=subprocess.DEVNULL) as process:
            time.sleep(wait)
            process.kill()
    assert home.run().splitlines()[1] == "300001"
    assert home.trees() == ["1.0.0"]
    assert not list(home.cache.glob("*.part"))


def test_many_first_starts_at_once(home: Home) -> None:
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: home.run(), range(8)))
    assert {one.splitlines()[1] for one in said} == {"300001"}
    assert home.trees() == ["1.0.0"]


@pytest.mark.parametrize("harm", ["gone", "cut", "index"])
def test_a_tree_that_is_not_whole_is_unpacked_again(home: Home, harm: str) -> None:
    """A cleaner of old files took one, or the machine fell before they were written."""
    home.run()
    (folder,) = [one for one in home.cache.iterdir() if one.is_dir()]
    data = folder / "_internal/deep/data"
    if harm == "gone":
        data.unlink()
    elif harm == "cut":
        os.truncate(data, 17)
    else:
        os.truncate(folder / ".files", 5)
    assert home.run().splitlines()[1] == "300001"


def test_where_it_unpacks(home: Home, tmp_path: Path) -> None:
    """What the operator names; else systemd's folder; else the cache of the person; else what is for passing things."""
    for name in ("named", "unit", "xdg", "state", "tmp"):
        (tmp_path / name).mkdir()

    def place(**env: str) -> str:
        return home.run("first", code=0, **env).split("|")[0]

    everything = {"CACHE_DIRECTORY": f"{tmp_path}/unit:/other", "XDG_CACHE_HOME": f"{tmp_path}/xdg"}
    assert place(SIGNALCRAFT_UNPACK_DIR=f"{tmp_path}/named", **everything).startswith(f"{tmp_path}/named/signalcraft/")
    assert place(**everything).startswith(f"{tmp_path}/unit/program/")
    assert place(XDG_CACHE_HOME=f"{tmp_path}/xdg").startswith(f"{tmp_path}/xdg/signalcraft/")
    if os.geteuid() != 0:  # root has a folder of the system's before that
        elsewhere = {"HOME": "", "XDG_CACHE_HOME": "relative", "CACHE_DIRECTORY": "/proc"}
        assert place(STATE_DIRECTORY=f"{tmp_path}/state", **elsewhere).startswith(f"{tmp_path}/state/.program/")


def test_a_folder_that_others_may_write_is_not_used(home: Home, tmp_path: Path) -> None:
    """What lies there would be run."""
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    said = home.run("first", code=1, SIGNALCRAFT_UNPACK_DIR=str(open_to_all))
    tried = f"tried {open_to_all}/signalcraft (others may write beside it)"
    named = "Name one: SIGNALCRAFT_UNPACK_DIR=/path"
    assert said == f"signalcraft: there is no folder to unpack itself into: {tried}. {named}\n"
    home.cache.mkdir(parents=True)
    home.cache.chmod(0o777)
    assert home.run("first").split("|")[0].startswith(str(home.cache)) is False


@pytest.fixture
def noexec(tmp_path: Path) -> Iterator[Path]:
    """A disk from which no program may be run."""
    place = tmp_path / "noexec"
    why_not = mounted(place, 64 << 20)
    if why_not:
        pytest.skip(f"!! no disk can be mounted here ({why_not}): noexec is NOT CHECKED")
    subprocess.run(["mount", "-o", "remount,noexec", str(place)], check=True)
    yield place
    unmounted(place, lazy=True)


def test_a_disk_that_runs_no_programs(home: Home, noexec: Path) -> None:
    """It takes the next folder; where none is left it says so in one line."""
    assert home.run("first", TMPDIR=str(noexec)).splitlines()[1] == "300001"
    (noexec / "home").mkdir()
    assert home.run("first", HOME=str(noexec / "home"), XDG_CACHE_HOME=str(home.root)).startswith(str(home.root))
    said = home.run("first", code=1, SIGNALCRAFT_UNPACK_DIR=str(noexec))
    assert f"tried {noexec}/signalcraft (no program may be run from there: noexec)" in said
    assert said.count("\n") == 1
    assert os.listdir(noexec / "signalcraft") == [".lock"]


def test_a_disk_that_is_full(home: Home, tmp_path: Path) -> None:
    """One line, and the disk is as empty as before."""
    place = tmp_path / "small"
    why_not = mounted(place, 1 << 17)
    if why_not:
        pytest.skip(f"!! no small disk can be mounted here ({why_not}): a full disk is NOT CHECKED")
    try:
        assert "(No space left on device)" in home.run("first", code=1, SIGNALCRAFT_UNPACK_DIR=str(place))
        assert os.listdir(place / "signalcraft") == [".lock"]
    finally:
        unmounted(place)


@pytest.mark.parametrize(("at", "word"), [(-1, "its end is missing"), (-2000, "is damaged"), (-40_000, "is damaged")])
def test_a_file_that_changed_on_its_way(home: Home, at: int, word: str) -> None:
    """Cut off, or with a byte that is another one: one line, nothing of it is run, nothing stays."""
    data = bytearray((home.made / "first.bin").read_bytes())
    if at == -1:
        del data[-7:]
    else:
        data[at] ^= 1
    broken = home.made / "broken.bin"
    broken.write_bytes(data)
    broken.chmod(0o755)
    said = home.run("broken", code=1)
    assert re.fullmatch(rf"signalcraft: this file .*{word}.*Download it again\n", said)
    assert home.trees() == [] if home.cache.exists() else True


def test_an_older_c_library_is_said_in_one_line(home: Home, tmp_path: Path) -> None:
    onefile = script("onefile")
    onefile.loader(tmp_path / "loader", "2.99")
    whole = (home.made / "first.bin").read_bytes()
    head = (tmp_path / "loader").read_bytes()
    old = onefile._TRAILER.unpack(whole[-onefile._TRAILER.size :])
    packed = whole[old[1] : old[1] + old[2]]
    file = home.made / "newer.bin"
    file.write_bytes(head + packed + onefile._TRAILER.pack(onefile.MAGIC, len(head), len(packed), old[3]))
    file.chmod(0o755)
    said = home.run("newer", code=1)
    assert re.fullmatch(
        r"signalcraft: this system's C library is glibc 2\.\d+, and this program needs 2\.99 or newer \(.*\)\n", said
    )


def test_the_same_tree_gives_the_same_file(made: Path, tmp_path: Path) -> None:
    """Whenever it is packed, by whom, and however the files came to lie there."""
    onefile = script("onefile")
    one = made / "first/tree"
    subprocess.run(["cp", "-a", str(one), str(tmp_path / "copy")], check=True)
    for path in (tmp_path / "copy").rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert onefile.packed(tmp_path / "copy") == onefile.packed(one)
    (tmp_path / "copy/_internal/up").symlink_to("../out")
    with pytest.raises(ValueError, match="leads out"):
        onefile.packed(tmp_path / "copy")
