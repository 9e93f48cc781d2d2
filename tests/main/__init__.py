"""The running program, seen from outside."""
