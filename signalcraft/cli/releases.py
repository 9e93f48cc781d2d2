"""The file of a release: read or fetched, held against its checksum, its signature verified."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from signalcraft.cli.terminal import note
from signalcraft.errors import Conflict, Fault, Invalid


def fetched(source: str, target: Path, sha256: str | None) -> str:
    """Copies or downloads, and holds it against its sum. Raises Invalid, Conflict."""
    wanted = sha256 or _read_sum(source)
    if not re.fullmatch(r"[0-9a-fA-F]{64}", wanted):
        raise Invalid("a SHA-256 has 64 hexadecimal digits", path="--sha256")
    if source.startswith("http://") and sha256 is None:
        raise Invalid("over http:// the sum cannot come the same way: give it with --sha256, or use https://")
    seen = hashlib.sha256()
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700)
    with os.fdopen(handle, "wb") as out:
        for piece in _pieces(source):
            seen.update(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    if seen.hexdigest() != wanted.lower():
        raise Conflict(
            f"{source} is not what its sum says ({seen.hexdigest()[:12]}…, not {wanted[:12]}…): not installed"
        )
    return seen.hexdigest()


def _read_sum(source: str) -> str:
    try:
        text = b"".join(_pieces(f"{source}.sha256")).decode("utf-8", "replace")
    except Fault:
        raise Invalid(f"what the file must be is not known: {source}.sha256 is not there; give --sha256 HEX") from None
    return text.split()[0] if text.split() else ""


def _pieces(source: str) -> Any:
    """The bytes of a file or of an address. Raises Fault."""
    if not re.match(r"https?://", source):
        try:
            with Path(source).open("rb") as opened:
                while piece := opened.read(1 << 20):
                    yield piece
        except OSError as problem:
            raise Invalid(f"{source} cannot be read: {problem.strerror}") from None
        return
    import httpx

    try:
        with httpx.stream("GET", source, follow_redirects=True, timeout=60) as answer:
            if answer.status_code != 200:
                raise Fault(f"{source} answered {answer.status_code}")
            yield from answer.iter_bytes(1 << 20)
    except httpx.HTTPError as problem:
        raise Fault(f"{source} could not be fetched: {str(problem) or type(problem).__name__}") from None


def checked(file: Path, signature: str, public_key: str) -> None:
    """Verifies a minisign signature, from a file or an address. Raises Conflict, Invalid."""
    from signalcraft.storage import signed

    key = signed.public_key(public_key)
    held = file.with_name(".signature")
    try:
        held.write_bytes(b"".join(_pieces(signature)))
        note(f"Signed: {signed.verify(file, held, key)}")
    finally:
        held.unlink(missing_ok=True)
