"""How fast it is here: durable ingest against the same handler without its writer, and commit to Slack.

`make bench` runs it and writes docs/reference/benchmarks.md. Never a gate: machines are noisy, ratios in one run hold.
"""
