"""Children of the program: what they get of its environment, which file it is, and that none of them outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from signalcraft.storage import children, installed
from signalcraft.storage.archive.child import Child
from tests.house.tree import ROOT

FROZEN = {
    "LD_LIBRARY_PATH": "/bundle/_internal",
    "LD_LIBRARY_PATH_ORIG": "/opt/lib",
    "_PYI_ARCHIVE_FILE": "/bundle/signalcraft",
    "_PYI_PARENT_PROCESS_LEVEL": "1",
    "_SIGNALCRAFT_FILE": "/usr/local/bin/signalcraft",
    "LISTEN_FDS": "1",
}
PARENT = """
import subprocess, sys, threading
from signalcraft.storage import children
child = []
def start():
    child.append(subprocess.Popen(children.program(*sys.argv[1:]), stdin=subprocess.PIPE, stdout=subprocess.PIPE))
thread = threading.Thread(target=start)  # as they are started: on a thread that ends
thread.start()
thread.join()
print(child[0].pid, flush=True)
import time
time.sleep(60)
"""


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it ran out of a bundle."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    for name, value in FROZEN.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("frozen")
def test_a_child_of_a_bundle_starts_as_anybody_would() -> None:
    """Neither the bundle's libraries nor what its loader and its bootloader say to themselves."""
    found = children.environment()
    assert found["LD_LIBRARY_PATH"] == "/opt/lib"
    assert set(found) & (set(FROZEN) - {"LD_LIBRARY_PATH"}) == set()
    assert children.program("status") == [sys.executable, "status"]


def test_the_archives_child_gives_way_from_its_start(tmp_path: Path) -> None:
    """Before it has loaded anything: to load a program is work too, on a machine of one processor."""
    with Child(tmp_path / "signalcraft.db", tmp_path) as child:
        process = child._started()
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == children.NICE > 0
    children.give_way(process.pid)  # one that has ended is let be


def test_a_child_of_a_checkout_gets_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    assert children.environment()["LD_LIBRARY_PATH"] == "/opt/lib"
    assert children.program("status") == [sys.executable, "-m", "signalcraft", "status"]


def test_the_file_that_people_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of the one-file program it is that file, which `upgrade` replaces, not the tree that it unpacked."""
    file = tmp_path / "bin/signalcraft"
    monkeypatch.setenv("_SIGNALCRAFT_FILE", str(file))
    assert children.program_file() == Path(sys.executable), "not a bundle: the variable is nobody's"
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert children.program_file() == file
    place = installed.find(None)
    assert (place.prefix, place.entry) == (tmp_path / "lib/signalcraft", file)
    monkeypatch.setenv("_SIGNALCRAFT_FILE", str(tmp_path / "lib/signalcraft/versions/1.0.0/signalcraft"))
    shown = installed.present()
    assert shown is not None
    assert shown.prefix == tmp_path / "lib/signalcraft"


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and is not collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "words",
    [
        ("metrics", "worker", "DB"),
        pytest.param(("archive", "worker", "DB", "DIR"), marks=pytest.mark.whole),
        pytest.param(("backup", "work"), marks=pytest.mark.whole),
        pytest.param(("metrics", "answer"), marks=pytest.mark.whole),
    ],
)
def test_no_child_outlives_a_kill(words: tuple[str, ...], tmp_path: Path) -> None:
    """Each kind of worker waits for its parent itself: what it does and whether it listens is no matter."""
    named = [str(tmp_path / word) if word.isupper() else word for word in words]
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *named], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    # Its standard input stays open in a process that is not its parent: an end of it is not what ends the child.
    keeps_open = os.open(f"/proc/{pid}/fd/0", os.O_WRONLY)
    try:
        until = time.monotonic() + 30
        while "parent" not in threads(pid) and time.monotonic() < until:
            time.sleep(0.05)
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        while alive(pid) and time.monotonic() < until:
            time.sleep(0.02)
        assert not alive(pid)
    finally:
        os.close(keeps_open)
        parent.stdout.close()


def threads(pid: int) -> set[str]:
    """The names of a process's threads; Python 3.14 tells them to the system, before that there are two of them."""
    found = {path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm")}
    return found | {"parent"} if len(list(Path(f"/proc/{pid}/task").iterdir())) > 1 else found
