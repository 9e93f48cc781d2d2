"""The scripts that build the binary, as modules: packaging/ is no package (its name is another library's)."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import ROOT

FOLDER = ROOT / "packaging/binary"


def script(name: str) -> Any:
    """One of packaging/binary/*.py."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


def compiler() -> None:
    """Skips, counted, where the loader cannot be compiled."""
    cc = shutil.which(os.environ.get("CC", "cc"))
    library = "#include <zstd.h>\nint main(void) { return (int)ZSTD_versionNumber() == 0; }\n"
    if cc is not None:
        command = [cc, "-static", "-x", "c", "-", "-o", os.devnull, "-lzstd"]
        if subprocess.run(command, input=library, text=True, capture_output=True).returncode == 0:
            return
    pytest.skip("!! no C compiler with zstd's static library (gcc, libzstd-dev): the one file's loader is NOT CHECKED")


def tree(folder: Path, script_text: str, **files: bytes) -> Path:
    """A small tree to be packed: a shell script for the program, and files beside it."""
    folder.mkdir(parents=True)
    program = folder / "signalcraft"
    program.write_text(f"#!/bin/sh\n{script_text}\n")
    program.chmod(0o755)
    inside = folder / "_internal/deep"
    inside.mkdir(parents=True)
    for name, data in files.items():
        (inside / name).write_bytes(data)
    (folder / "_internal/link").symlink_to("deep")
    return folder
