"""Addresses of Ray clusters, as far as a search joins them."""

from __future__ import annotations

from autocompress.errors import InvalidInput


def check_ray_address(address: str, what: str) -> None:
    """InvalidInput, which names `what` gives it, unless an address is "auto" or HOST:PORT.

    Ray knows others. With "local" it starts a cluster that listens on all interfaces, rather than to join one.
    """
    if "://" in address:
        raise InvalidInput(f"{what} {address}: Ray's client is not enough; give HOST:PORT, on a node of it")
    host, _, port = address.rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]")  # IPv6
    is_host = bool(host) and host.isprintable() and " " not in host and (in_brackets or ":" not in host)
    is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535
    if address != "auto" and not (is_host and is_port):
        raise InvalidInput(
            f"{what} is {address!r}, but must be auto or HOST:PORT, as `ray start` prints it; "
            "leave --address out to use this machine"
        )
