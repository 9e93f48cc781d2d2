"""`python -m signalcraft.cli --reference`: prints docs/reference/cli.md."""

from __future__ import annotations

import sys

from signalcraft.cli import main

if sys.argv[1:] == ["--reference"]:
    from signalcraft.cli.reference import page

    sys.stdout.write(page())
else:
    main()
