"""The only rooms where SQL is spoken."""
