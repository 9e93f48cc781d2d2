"""A data directory made again from a backup or a replica. Blocks; needs no house. See docs/how-to/restore.md."""

from __future__ import annotations

from signalcraft.errors import MasterKeyMissing
from signalcraft.storage.restoring.keys import Given, from_text, of_masters, read_keys
from signalcraft.storage.restoring.put import Order, Restored, bundle_in, restore

__all__ = [
    "Given",
    "MasterKeyMissing",
    "Order",
    "Restored",
    "bundle_in",
    "from_text",
    "of_masters",
    "read_keys",
    "restore",
]
