"""The outside world, for `signalcraft demo`, the tests and the benchmark: Slack's side of the wire and a noisy week.

Nothing here is used by `serve`. The stand-ins speak the vendors' real wire contracts, with their limits and faults.
"""
