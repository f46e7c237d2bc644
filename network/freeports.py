# SPDX-License-Identifier: Apache-2.0
"""Ports that are free now, and likely still are when a program is started again."""

import errno
import random
import socket

__all__ = ["bind_anywhere"]

_ANY_PORT = (12_000, 20_000)
"""Below 20,000, from where those choose who run their own programs beside this network, as the demonstration does."""


def bind_anywhere(listener: socket.socket, host: str) -> int:
    """Bind to a port that is free now, and say which; raises `OSError` when the host is not ours to bind.

    Not one of those that the system gives to outgoing connections: it could be taken while a program is started again.
    """
    for _ in range(200):
        port = random.randrange(*_ANY_PORT)  # noqa: S311  # no secret
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return port
    raise OSError(errno.EADDRINUSE, f"no free port was found from {_ANY_PORT[0]} to {_ANY_PORT[1]}")
