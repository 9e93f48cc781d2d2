"""What the shell may say to the tests, taken out of the environment: what they start would refuse it as no setting."""

from __future__ import annotations

import os
from typing import Final

GIVEN: Final = {
    name: os.environ.pop(name, "")
    for name in (
        "SIGNALCRAFT_PROGRAM",
        "SIGNALCRAFT_FRESH_MACHINE",
        "SIGNALCRAFT_DIST",
        "SIGNALCRAFT_DEBIAN_TAR",
    )
}
