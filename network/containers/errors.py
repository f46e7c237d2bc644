# SPDX-License-Identifier: Apache-2.0
"""The one error of this package: something that an operator must put right, in one line."""

from network.directory import RunningError


class ContainersError(RunningError):
    """The engine, an image, a port or a container keeps the network from running; the message names which."""
