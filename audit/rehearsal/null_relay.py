"""``python -m audit.rehearsal.null_relay ADDRESS``: acknowledges every batch and keeps nothing, so that a recorder can be timed alone."""

from __future__ import annotations

import sys

import msgspec
import zmq

from tracing.record import Ack, Batch


def main(address: str) -> None:
    """Serve until killed."""
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind(address)
    while True:
        peer, data = socket.recv_multipart()[:2]
        batch = msgspec.msgpack.decode(data, type=Batch)
        if batch.number:
            socket.send_multipart([peer, msgspec.msgpack.encode(Ack(number=batch.number))])


if __name__ == "__main__":
    main(sys.argv[1])
