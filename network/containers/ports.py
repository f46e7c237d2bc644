# SPDX-License-Identifier: Apache-2.0
"""Ports of this machine that are chosen once and then kept for the life of a directory."""

import errno
import json
import random
import socket
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from network.containers.errors import ContainersError
from network.durable import write_file

_RANGE = (20_000, 32_000)
"""Below the ports that the system gives to outgoing connections, which could take one during a restart."""
_TRIES = 200


class KeptPorts:
    """A file of port numbers by listener; new ones are written when the block is left without an error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, int] = {}
        self._avoided: set[int] = set()

    def __enter__(self) -> Self:
        if self._path.exists():
            try:
                self._known = dict(json.loads(self._path.read_text(encoding="ascii")))
            except ValueError as error:
                raise ContainersError(f"{self._path} is not JSON: restore it, or remove it to choose anew") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            text = json.dumps(self._known, indent=1, sort_keys=True) + "\n"
            write_file(self._path, text.encode("ascii"), mode=0o644)

    def avoid(self, ports: Iterable[int]) -> None:
        """Give none of these to anybody."""
        self._avoided.update(ports)

    def kept(self, listener: str, preferred: int = 0) -> int:
        """The port of `listener`, chosen now if it has none: the preferred one where it is free."""
        if listener not in self._known:
            self._known[listener] = self._choose(preferred)
        return self._known[listener]

    def _choose(self, preferred: int) -> int:
        for port in (preferred, *(random.randrange(*_RANGE) for _ in range(_TRIES))):  # noqa: S311 -- no secret
            if 0 < port < 65536 and port not in self._taken() and is_free(port):
                return port
        raise ContainersError("no free port was found on 127.0.0.1")

    def _taken(self) -> set[int]:
        return self._avoided | set(self._known.values())


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nobody listens at a port of this machine now; raises `OSError` where `host` is not ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the engine does
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in _BUSY:
                return False
            raise
    return True


_BUSY = (errno.EADDRINUSE, errno.EACCES)
