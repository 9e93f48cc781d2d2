"""`python -m signalcraft` is the same program as `signalcraft`."""

from __future__ import annotations

from signalcraft.cli import main

if __name__ == "__main__":
    main()
