"""Every setting once (model), where it comes from (load), and what is drawn from it (render)."""

from __future__ import annotations

from signalcraft.config.forms import split_listen
from signalcraft.config.loading import Loaded, environment, load, whole_environment
from signalcraft.config.model import Settings
from signalcraft.config.render import reference, sample
from signalcraft.config.secret import Secret

__all__ = [
    "Loaded", "Secret", "Settings", "environment", "load", "reference", "sample", "split_listen", "whole_environment",
]  # fmt: skip
