"""Ports at which nobody listens."""

import random
import socket
from contextlib import ExitStack


def free_port() -> int:
    """One of `free_ports`; closed until a server takes it."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Free ports that nobody is given by chance: above those of Ray's workers, below those of outgoing connections."""
    found: list[int] = []
    with ExitStack() as stack:
        for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
            if len(found) < count and _bound(stack.enter_context(socket.socket()), port):
                found.append(port)
    return found


def _bound(one: socket.socket, port: int) -> bool:
    try:
        one.bind(("0.0.0.0", port))
    except OSError:
        return False
    return True
