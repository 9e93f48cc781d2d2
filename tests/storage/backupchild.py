"""The child process of a backup as the program starts it, without the rest of the command line."""

import sys

from signalcraft.storage.backup.child import work

if __name__ == "__main__":
    sys.exit(work(sys.stdin.buffer, sys.stdout.buffer))
