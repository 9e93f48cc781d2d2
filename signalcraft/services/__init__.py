"""Verbs: each does one thing for one caller, in one write transaction."""
