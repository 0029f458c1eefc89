"""Becomes another program that dies when its parent does: python -P -m patchwright.evals.scaffolds.tied PARENT COMMAND…

The kernel ends it with SIGKILL when the thread that started it is gone, so that nothing goes on working for a runner
that was killed. The program inherits the wish, its own children do not: sandboxes have the same bond of their own.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before we could say so
        sys.exit("the parent is gone")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
