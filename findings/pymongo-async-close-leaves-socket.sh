#!/bin/sh
# pymongo (4.20.0): an AsyncMongoClient that is closed while it is connecting to a server that neither
# accepts nor refuses leaves that socket open, for the garbage collector to find: close() cancels the
# task that connects, and the code that would close the socket after a failure does not see a
# cancellation. A process that makes clients while its database is down (checks of readiness, say)
# and collects garbage seldom, as servers do, gathers descriptors; tests that make warnings errors fail
# later, elsewhere.
# Exits 0 while that is so, 1 when it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check "pymongo==4.20.0" "dnspython==2.9.2"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import asyncio
import gc
import socket
import sys
import time

import pymongo


def connecting() -> int:
    """The sockets of this process that were made to connect to a database, and are still open."""
    found = [one for one in gc.get_objects() if type(one) is socket.socket and one not in own]
    return sum(one.fileno() != -1 and one.proto == socket.IPPROTO_TCP for one in found)


async def closed() -> int:
    async with pymongo.AsyncMongoClient(address) as client:
        try:
            await client.admin.command("ping")
        except pymongo.errors.ServerSelectionTimeoutError:
            pass
    await asyncio.sleep(1)
    return connecting()


gc.disable()  # as between two of its runs
print("pymongo", pymongo.version)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(0)
port = listener.getsockname()[1]
address = f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=300"
own = [listener]
for _ in range(4):  # the listener's queue is full
    waiting = socket.socket()
    waiting.setblocking(False)
    waiting.connect_ex(("127.0.0.1", port))
    own.append(waiting)
time.sleep(0.2)
left = asyncio.run(closed())
print("open a second after close():", left)
gc.collect()
print("after the garbage collector:", connecting())
sys.exit(0 if left == 1 and connecting() == 0 else 1)
PYTHON
