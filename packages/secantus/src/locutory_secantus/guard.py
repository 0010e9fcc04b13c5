"""First program of the database's process: ties its life to the server's, then becomes the
database. Run as a script with the arguments ``<server pid> <lock descriptor> <program> …``."""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Never returns."""
    server, lock, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        import ctypes  # only here: it costs other systems a few milliseconds for nothing

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != server:
            sys.exit("the server ended before its database began")
    # Whatever the server left inheritable (listening sockets) must not outlive it here.
    os.closerange(3, lock)
    os.closerange(lock + 1, 65536)
    os.set_inheritable(lock, True)
    os.execv(command[0], command)  # noqa: S606  (arguments of our own)


if __name__ == "__main__":
    main()
