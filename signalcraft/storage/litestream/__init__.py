"""The replica: a copy of the database that Litestream, a child process, keeps elsewhere, a second behind.

Each database that is replicated has a place of its own under `replica.url`, called by a number, its generation: what is
restored goes on under the next number, so that no box ever writes where another one wrote
(docs/decisions/0016-a-place-for-each-generation.md). Everything here but `Child` blocks: call it in a thread.
"""

from __future__ import annotations

from signalcraft.storage.litestream.child import Child, Synced, waiting
from signalcraft.storage.litestream.command import shown
from signalcraft.storage.litestream.copies import Newest, Restored, generations, newest, restore
from signalcraft.storage.litestream.places import Place, Unmounted, claim, forget, lost, mine, newer, signed

__all__ = [
    "Child",
    "Newest",
    "Place",
    "Restored",
    "Synced",
    "Unmounted",
    "claim",
    "forget",
    "generations",
    "lost",
    "mine",
    "newer",
    "newest",
    "restore",
    "shown",
    "signed",
    "waiting",
]
