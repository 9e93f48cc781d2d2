"""`python -m signalcraft.config --sample | --reference`: prints what is generated from the model."""

from __future__ import annotations

import sys

from signalcraft.config import reference, sample

PAGES = {"--sample": sample, "--reference": reference}

if len(sys.argv) != 2 or sys.argv[1] not in PAGES:
    sys.exit(f"usage: python -m signalcraft.config {' | '.join(PAGES)}")
sys.stdout.write(PAGES[sys.argv[1]]())
