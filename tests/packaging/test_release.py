"""What people download: sums that hold, signatures that minisign and `upgrade` believe, an installer with the key."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from signalcraft.errors import Conflict
from signalcraft.storage import signed
from tests.house.tree import ROOT
from tests.packaging.binary import FOLDER, script


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """What the builds leave, in small."""
    folder = tmp_path / "dist"
    package = folder / "signalcraft-dir/_internal/signalcraft"
    package.mkdir(parents=True)
    (package / "built.json").write_text(json.dumps({"commit": "0123456789ab", "date": "2026-11-21T00:00:00Z"}))
    (package / "sbom.cdx.json").write_text(json.dumps({"metadata": {"component": {"version": "1.2.3"}}}))
    for name in ("signalcraft", "signalcraft_1.2.3_amd64.deb", "signalcraft-1.2.3.x86_64.rpm"):
        (folder / name).write_bytes(f"the {name}".encode())
    return folder


def released(monkeypatch: pytest.MonkeyPatch, dist: Path, **env: str) -> tuple[int, Path]:
    """Runs `make release` on it."""
    release = script("release")
    target = dist.parent / "release"
    monkeypatch.setattr(release, "DIST", dist)
    monkeypatch.setattr(release, "TARGET", target)
    monkeypatch.setattr(release.parts, "ROOT", dist.parent)
    for name in ("RELEASE_KEY_FILE", "RELEASE_KEY_PASSWORD", "RELEASE_SIGN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return release.main(), target


def test_a_release_is_whole_and_signed(monkeypatch: pytest.MonkeyPatch, dist: Path, tmp_path: Path) -> None:
    """As `sha256sum` and `signalcraft upgrade` check it."""
    file = tmp_path / "release.key"
    done = subprocess.run([sys.executable, FOLDER / "sign.py", "--new", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o077 == 0
    code, target = released(monkeypatch, dist, RELEASE_KEY_FILE=str(file), RELEASE_SIGN="required")
    assert code == 0
    (program,) = (
        path for path in target.glob("signalcraft-1.2.3-linux-*") if path.suffix not in (".sha256", ".minisig")
    )
    names = sorted(path.name for path in target.iterdir() if path.suffix not in (".sha256", ".minisig"))
    assert names == sorted(
        ["SHA256SUMS", "install.sh", "release.pub", program.name, "signalcraft-1.2.3.cdx.json",
         "signalcraft-1.2.3.x86_64.rpm", "signalcraft_1.2.3_amd64.deb"]
    )  # fmt: skip
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=target, check=True)
    assert (target / f"{program.name}.sha256").read_text().split()[1] == program.name
    key = signed.public_key(str(target / "release.pub"))
    for path in (program, target / "SHA256SUMS", target / "install.sh"):
        said = signed.verify(path, path.with_name(f"{path.name}.minisig"), key)
        assert said == f"signalcraft 1.2.3 0123456789ab 2026-11-21T00:00:00Z file:{path.name}"
    public = (target / "release.pub").read_text().splitlines()[1]
    assert f"PUBLIC_KEY='{public}'" in (target / "install.sh").read_text(), "the installer trusts this key"
    program.write_bytes(program.read_bytes() + b" changed")
    with pytest.raises(Conflict, match="does not hold"):
        signed.verify(program, program.with_name(f"{program.name}.minisig"), key)


def test_what_is_lacking_is_said(
    monkeypatch: pytest.MonkeyPatch, dist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Loudly; and where a release must be signed, it fails."""
    (dist / "signalcraft_1.2.3_amd64.deb").unlink()
    built = dist / "signalcraft-dir/_internal/signalcraft/built.json"
    built.write_text(built.read_text().replace("0123456789ab", "0123456789ab+changes"))
    assert released(monkeypatch, dist)[0] == 0
    said = capsys.readouterr().out
    assert re.findall(r"!! [A-Z ]+:", said) == ["!! NOT IN IT:", "!! NOT SIGNED:", "!! NOT OF A COMMIT:"]
    assert released(monkeypatch, dist, RELEASE_SIGN="required")[0] == 1


@pytest.mark.whole
def test_minisign_itself_believes_it(tmp_path: Path) -> None:
    """And a key that it made, with a password, signs here."""
    minisign = shutil.which("minisign")
    if minisign is None:
        pytest.skip("!! minisign is not installed (Debian's package minisign): NOT CHECKED with the tool itself")
    sign = script("sign")
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    ours = sign.new()
    (tmp_path / "file.minisig").write_text(ours.signature(file, "a comment"))
    check = [minisign, "-V", "-m", str(file), "-P", ours.public]
    said = subprocess.run(check, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "a comment" in said.stdout
    assert "key ID" not in ours.public_file()
    subprocess.run(
        [minisign, "-G", "-p", tmp_path / "their.pub", "-s", tmp_path / "their.key"],
        input="secret\nsecret\n", text=True, capture_output=True, check=True,
    )  # fmt: skip
    theirs = sign.read(tmp_path / "their.key", "secret")
    (tmp_path / "file.minisig").write_text(theirs.signature(file, "theirs"))
    check = [minisign, "-V", "-m", str(file), "-p", str(tmp_path / "their.pub")]
    assert subprocess.run(check, capture_output=True).returncode == 0
    with pytest.raises(ValueError, match="does not open with this password"):
        sign.read(tmp_path / "their.key", "wrong")


def test_a_key_without_a_password(tmp_path: Path) -> None:
    sign = script("sign")
    key = sign.new()
    (tmp_path / "key").write_text(key.secret_file())
    assert sign.read(tmp_path / "key").public == key.public
    with pytest.raises(ValueError, match="is no secret key"):
        sign.read(ROOT / "LICENSE")
