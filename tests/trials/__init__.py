"""The long rounds: kill, load, scan. A short form of each runs in `make test`, the whole in `make trial`."""
