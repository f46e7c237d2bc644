# SPDX-License-Identifier: Apache-2.0
"""The one error of this package: something that an operator must put right, in one line."""

from network.directory import RunningError


class OperationsError(RunningError):
    """What was asked cannot be done now; the message names the file, node or option and what would be right."""
