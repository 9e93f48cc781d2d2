"""Files that only a passphrase opens."""

from __future__ import annotations

import json

import pytest

from signalcraft.errors import Invalid
from signalcraft.storage import escrow
from signalcraft.storage.escrow import WrongPassphrase

WORDS = "seven lanterns over the harbour"
KEYS, CONFIG = "signalcraft master keys", "signalcraft configuration"


def test_what_was_sealed_opens_with_its_passphrase_alone() -> None:
    text = escrow.seal(KEYS, b"canary", WORDS)
    assert b"canary" not in text
    assert escrow.unseal(KEYS, text, WORDS) == b"canary"
    with pytest.raises(WrongPassphrase):
        escrow.unseal(KEYS, text, WORDS + "s")
    with pytest.raises(Invalid, match="no file of configuration"):
        escrow.unseal(CONFIG, text, WORDS)
    assert escrow.is_sealed(text, KEYS)
    assert not escrow.is_sealed(text, CONFIG)
    assert not escrow.is_sealed(b"[workspace]\n", CONFIG)
    said = json.loads(text)
    assert (said["kdf"], said["ops"], said["memory"]) == ("argon2id", 3, 256 * 1024 * 1024)


@pytest.mark.parametrize("field", ["box", "salt"])
def test_a_changed_file_does_not_open(field: str) -> None:
    said = json.loads(escrow.seal(KEYS, b"canary", WORDS))
    said["memory"], said["ops"] = 8192, 1  # quick, and wrong as well
    first = said[field][0]
    said[field] = ("A" if first != "A" else "B") + said[field][1:]
    with pytest.raises(WrongPassphrase):
        escrow.unseal(KEYS, json.dumps(said).encode(), WORDS)


@pytest.mark.parametrize(("field", "value"), [("memory", 1 << 40), ("ops", 10**6), ("version", 2), ("kdf", "md5")])
def test_a_file_cannot_ask_for_more_than_is_sane(field: str, value: object) -> None:
    said = json.loads(escrow.seal(KEYS, b"canary", WORDS))
    said[field] = value
    with pytest.raises(Invalid, match="no file of master keys"):
        escrow.unseal(KEYS, json.dumps(said).encode(), WORDS)


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(Invalid, match="12 characters"):
        escrow.check_passphrase("too short")
