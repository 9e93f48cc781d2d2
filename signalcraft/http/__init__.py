"""The HTTP edge: the outside world on one side, one service call on the other."""
