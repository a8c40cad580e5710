"""``python -m audit.rehearsal.null_relay ADDRESS``: acknowledges every batch and keeps nothing, so that a recorder can be timed alone."""

from __future__ import annotations

import os
import sys

import msgspec
import zmq

from tracing.record import Ack, Batch


def main(address: str) -> None:
    """Serve until killed, or until whoever started it is gone."""
    parent = os.getppid()
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind(address)
    while os.getppid() == parent:
        if not socket.poll(1000):
            continue
        peer, data = socket.recv_multipart()[:2]
        batch = msgspec.msgpack.decode(data, type=Batch)
        if batch.number:
            socket.send_multipart([peer, msgspec.msgpack.encode(Ack(number=batch.number))])


if __name__ == "__main__":
    main(sys.argv[1])
