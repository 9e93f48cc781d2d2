"""Backups of a data directory: what goes into one, its making in a process of its own, and those that are kept."""
