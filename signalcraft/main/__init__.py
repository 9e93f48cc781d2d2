"""Wiring: settings become one running program. The only room that reads the clock."""

from signalcraft.main.build import open_house, system_now
from signalcraft.main.program import Program, serve

__all__ = ["Program", "open_house", "serve", "system_now"]
