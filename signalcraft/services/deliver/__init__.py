"""Delivery: what is owed leaves, one message at a time for each channel, several channels at once."""

from __future__ import annotations

from signalcraft.services.deliver.loop import LINK_PURPOSE, Deliver
from signalcraft.services.deliver.status import ChannelTrouble, Status

__all__ = ["LINK_PURPOSE", "ChannelTrouble", "Deliver", "Status"]
