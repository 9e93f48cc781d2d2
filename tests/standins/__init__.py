"""Other companies' servers, on loopback: each runs on its own thread and can be told to fail, stall, lie or be down.

```python
with StandInThread(SlackStandIn(clock, channels=["oncall"])) as slack:
    ...
with LoopThread(SmtpStandIn(security="starttls")) as smtp:
    smtp.it.mails
with LoopThread(Receiver(secret="whsec_…")) as hooks:
    hooks.it.requests
```
"""

from __future__ import annotations

from signalcraft.demo.slack import SlackStandIn, StandInThread
from signalcraft.demo.threads import LoopThread
from tests.standins.receiver import Received, Receiver
from tests.standins.smtp import LOCALHOST_PEM, ReceivedMail, SmtpStandIn

__all__ = [
    "LOCALHOST_PEM",
    "LoopThread",
    "Received",
    "ReceivedMail",
    "Receiver",
    "SlackStandIn",
    "SmtpStandIn",
    "StandInThread",
]
