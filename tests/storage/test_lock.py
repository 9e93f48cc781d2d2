"""One process for one data directory, on a disk whose locks can be trusted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from signalcraft.errors import BadSetting
from signalcraft.storage.disks import filesystem, refuse_network
from signalcraft.storage.lock import DataLock, Held


def test_a_second_holder_is_refused_with_the_pid_of_the_first_and_a_kill_lets_go(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, time; from signalcraft.storage.lock import DataLock;"
        "lock = DataLock(pathlib.Path(sys.argv[1])); lock.take('serve'); print('held', flush=True); time.sleep(30)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Held, match=f"process {holder.pid}"):
            DataLock(tmp_path).take("serve")
        holder.kill()
    lock = DataLock(tmp_path)
    lock.take("serve")
    lock.release()


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match="cannot be used"):
        DataLock(tmp_path / "file" / "data").take("serve")


def test_a_network_file_system_is_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda1 / ext4 rw 0 0\nserver:/x /srv/nfs\\040share nfs4 rw 0 0\n")
    assert filesystem(Path("/srv/other"), mounts) == "ext4"
    refuse_network(Path("/srv/other"), mounts)
    with pytest.raises(BadSetting, match="network file system"):
        refuse_network(Path("/srv/nfs share/data"), mounts)


def test_the_data_directory_is_private(tmp_path: Path) -> None:
    lock = DataLock(tmp_path / "new")
    lock.take("serve")
    assert os.stat(tmp_path / "new").st_mode & 0o077 == 0
    lock.release()
