"""Nouns and rules. Pure: no I/O, no clock, no randomness; time is an argument, in milliseconds since 1970 UTC."""
