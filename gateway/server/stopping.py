# SPDX-License-Identifier: Apache-2.0
"""Ends a gateway at once, where nothing that it says from here on could be relied on."""

import logging
import os
from typing import Final

_LOG = logging.getLogger(__name__)
_EXIT_FOR_GOOD: Final = 3
"""The arbiter starts no other worker after this one (gunicorn's `WORKER_BOOT_ERROR`)."""
_EXIT_FENCED: Final = 75
"""The arbiter starts another one."""


def stop_for_good(why: str) -> None:
    """End the gateway, and its arbiter with it: what could be answered is of a network that there is no more."""
    _LOG.critical("%s; stopping", why)
    os._exit(_EXIT_FOR_GOOD)


def stop_fenced(why: str) -> None:
    """End a gateway that others have taken to be dead: it is started again, as one that holds nothing."""
    _LOG.critical("%s; stopping", why)
    os._exit(_EXIT_FENCED)
