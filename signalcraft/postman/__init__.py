"""The postman: the only one who opens sockets to the world outside. He carries what channels composed, no more.

No proxy of the environment is used and no redirect followed; nothing he logs or returns holds a secret.
"""

from __future__ import annotations

import logging

from signalcraft.postman.carry import Postman
from signalcraft.postman.socketmode import SocketMode

__all__ = ["Postman", "SocketMode"]

# These libraries log addresses at INFO and headers at DEBUG: a webhook's address and a ticket in one are secrets.
for _name in ("httpx", "httpcore", "websockets"):
    logging.getLogger(_name).setLevel(logging.WARNING)
