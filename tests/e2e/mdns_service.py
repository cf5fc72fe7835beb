"""A program with a real multicast DNS stack: announces a service, or finds it and prints what it found.

python mdns_service.py announce|find ADDRESS
"""

import socket
import sys
import time

from zeroconf import ServiceInfo, Zeroconf

KIND = "_http._tcp.local."
NAME = f"web.{KIND}"


def announce(address: str) -> None:
    """Offer the service until killed."""
    info = ServiceInfo(KIND, NAME, port=8080, addresses=[socket.inet_aton(address)], server="web.local.")
    with Zeroconf(interfaces=[address]) as stack:
        stack.register_service(info)
        time.sleep(600)


def find(address: str) -> None:
    """Look for the service from this address; exit status 1 if there is none."""
    with Zeroconf(interfaces=[address]) as stack:
        info = stack.get_service_info(KIND, NAME, timeout=30_000)
    if info is None:
        sys.exit(f"{NAME} was not found")
    print(info.name, *info.parsed_addresses(), info.port)


if __name__ == "__main__":
    {"announce": announce, "find": find}[sys.argv[1]](sys.argv[2])
