# SPDX-License-Identifier: Apache-2.0
"""The one error of this package: something that an operator must put right, in one line."""


class NativeError(Exception):
    """Fabric's programs cannot be found, started or joined; the message is one line and names what to look at."""
