# SPDX-License-Identifier: Apache-2.0
"""How many files the embedded network's process may have open: it serves every connection of every organisation."""

import logging
import resource

__all__ = ["allow_files"]

_LOG = logging.getLogger(__name__)
_FULL_ADDRESSES = 8
"""For how many clients' addresses that have all their connections there is to be room."""
_FILES_BESIDE_CONNECTIONS = 512
"""Ledgers, listeners and chaincode's packages."""


def allow_files(connections_per_address: int) -> None:
    """Raise this process's limit of open files to what its clients may take up, as far as its hard limit allows.

    A limit that one address alone can use up is logged: nobody else could then connect.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    wanted = _FULL_ADDRESSES * connections_per_address + _FILES_BESIDE_CONNECTIONS
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    needed = connections_per_address + _FILES_BESIDE_CONNECTIONS
    if max(soft, allowed) < needed:
        _LOG.warning(
            "at most %d files may be open here; %d are needed for one address with all its connections",
            max(soft, allowed),
            needed,
        )
