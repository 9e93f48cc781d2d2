"""The audit log as files: lines of JSON that anybody can verify, and CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

import msgspec
from msgspec import Raw

from signalcraft.storage.audit import Stored

COLUMNS: Final = (
    *("seq", "at", "verb", "actor_kind", "actor_id", "actor", "address", "user_agent", "request_id"),
    *("thing", "data", "also", "erased", "chain"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
"""What makes a cell a formula, at its start (https://owasp.org/www-community/attacks/CSV_Injection)."""


def json_line(workspace_id: int, row: Stored, at: str) -> bytes:
    """One row. `who` and `what` stand there byte for byte as they were hashed; salts, digests and chain in hex."""
    line = {
        "workspace": workspace_id,
        "seq": row.seq,
        "at": at,
        "at_ms": row.at_ms,
        "verb": row.verb,
        "who": None if row.who is None else Raw(row.who.encode()),
        "who_salt": row.who_salt.hex(),
        "who_digest": row.who_digest.hex(),
        "what": None if row.what is None else Raw(row.what.encode()),
        "what_salt": row.what_salt.hex(),
        "what_digest": row.what_digest.hex(),
        "chain": row.chain.hex(),
    }
    return msgspec.json.encode(line) + b"\n"


def safe(cell: str) -> str:
    """A cell that stays text in a spreadsheet: what looks like a formula begins with an apostrophe."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _row(cells: tuple[str, ...]) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([safe(_flat(cell)) for cell in cells])
    return out.getvalue().encode()


def _flat(cell: str) -> str:
    # A record is one line, whoever reads it.
    return cell.replace("\r", " ").replace("\n", " ") if "\n" in cell or "\r" in cell else cell


def csv_line(workspace_id: int, row: Stored, at: str) -> bytes:
    """One row of COLUMNS."""
    who: dict[str, Any] = msgspec.json.decode(row.who) if row.who is not None else {}
    what: dict[str, Any] = msgspec.json.decode(row.what) if row.what is not None else {}
    erased = ",".join(name for name, text in (("who", row.who), ("what", row.what)) if text is None)
    names = ("kind", "id", "name", "address", "user_agent", "request_id")
    return _row(
        (
            *(str(row.seq), at, row.verb),
            *(str(who.get(name, "")) for name in names),
            str(what.get("id", "")),
            msgspec.json.encode(what.get("data", {})).decode(),
            msgspec.json.encode(what["also"]).decode() if "also" in what else "",
            *(erased, row.chain.hex()),
        )
    )


CSV_HEAD: Final = _row(COLUMNS)
