"""The ledger of what is owed: one row for each message to a channel, from the moment it is owed to its end.

owed ⇄ sending → sent, or owed → failed (loudly) or dropped (by a person, or because another message said it).
Posts have rank 0, edits rank 1. The posts of one group in one channel leave in the order in which they came to be owed.
"""

from __future__ import annotations

from signalcraft.storage.outbox.looking import (
    Owed,
    Tried,
    failed_since,
    last_sent_ms,
    listed,
    owed,
    owed_posts,
    owed_to,
    tried_since,
    under_way,
)
from signalcraft.storage.outbox.picking import (
    Next,
    channels_owed,
    later_posts,
    next_edit,
    next_post,
    next_probe,
    next_test,
    pending_post,
)
from signalcraft.storage.outbox.rows import (
    EDIT,
    POST,
    Delivery,
    get,
    load,
    owe,
    owe_edit,
)
from signalcraft.storage.outbox.standing_in import (
    move,
    stand_ins_of,
    stand_ins_owed_to,
    without_stand_in,
)
from signalcraft.storage.outbox.trying import (
    drop_edits,
    end,
    expired,
    hurry,
    move_back,
    release_expired,
    release_leases,
    requeue,
    sent,
    take,
)

__all__ = [
    "EDIT",
    "POST",
    "Delivery",
    "Next",
    "Owed",
    "Tried",
    "channels_owed",
    "drop_edits",
    "end",
    "expired",
    "failed_since",
    "get",
    "hurry",
    "last_sent_ms",
    "later_posts",
    "listed",
    "load",
    "move",
    "move_back",
    "next_edit",
    "next_post",
    "next_probe",
    "next_test",
    "owe",
    "owe_edit",
    "owed",
    "owed_posts",
    "owed_to",
    "pending_post",
    "release_expired",
    "release_leases",
    "requeue",
    "sent",
    "stand_ins_of",
    "stand_ins_owed_to",
    "take",
    "tried_since",
    "under_way",
    "without_stand_in",
]
