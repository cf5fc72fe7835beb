"""The least that user space can do with a frame: a program that moves frames between a TAP and a UDP socket,
and does nothing else. What it adds to a ping is the machine's share and Python's of what the sleeve adds."""

import contextlib
import fcntl
import os
import select
import socket
import struct
import sys

_PORT = 7000
_TUNSETIFF, _TAP_WITH_NOTES = 0x400454CA, 0x0002 | 0x1000 | 0x4000
_MOST = 4096
"""Bytes of a frame: it is for pings."""


def main(name: str, peer: str) -> None:
    """Make the TAP, and relay between it and the same program at ``peer``."""
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_WITH_NOTES))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("", _PORT))
    ready = select.epoll()
    ready.register(tap, select.EPOLLIN)
    ready.register(datagrams, select.EPOLLIN)
    while True:
        for descriptor, _ in ready.poll():
            if descriptor == tap:
                datagrams.sendto(os.read(tap, _MOST), (peer, _PORT))
            else:
                with contextlib.suppress(OSError):  # until the TAP is up
                    os.write(tap, datagrams.recv(_MOST))


if __name__ == "__main__":
    main(*sys.argv[1:])
