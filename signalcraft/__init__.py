"""SignalCraft: one self-hosted program that takes in every alert a team has and tells the right people."""

__version__ = "0.1.0"
