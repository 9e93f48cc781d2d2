"""NOTICE: what the binary holds that others made, by their own words, and which texts of licences it lacks."""

from __future__ import annotations

from typing import Any

_TITLES = {
    "python": "Libraries of Python, as their metadata says it",
    "runtime": "Python",
    "program": "Programs and libraries of C inside those libraries",
    "system": "Libraries of the machine that built it, with what its packages say",
    "web": "What the dashboard's script is made of, as its packages say it",
    "rust": "Crates of Rust, as the bills of materials in their libraries say it",
    "go": "Modules of Go in Litestream, as its file names them, with what their repositories say",
}


def document(rows: list[dict[str, Any]], version: str) -> str:
    """The text. `rows`: what inventory.write gave back, whose texts lie beside this one."""
    lines = [
        f"What others made and SignalCraft {version} holds: name, version, licence, and the file here with its text.",
        "What no file is named for came without one: its address is in sbom.cdx.json.",
    ]
    for kind, title in _TITLES.items():
        held = [row for row in rows if row["kind"] == kind]
        lacking = sum(not row["texts"] for row in held)
        lines += ["", f"{title}: {len(held)}" + (f", {lacking} of them without a text" if lacking else "")]
        for row in held:
            within = f" (in {row['within']})" if row["within"] else ""
            told = row["licence"] or ("see its text" if row["texts"] else "not said")
            said = f"  {row['name']} {row['version']}{within}: {told}"
            lines.append(said + (f" [{', '.join(row['texts'])}]" if row["texts"] else ""))
    return "\n".join(lines) + "\n"
