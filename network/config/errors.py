# SPDX-License-Identifier: Apache-2.0
"""What cannot be changed as asked."""


class ConfigError(Exception):
    """A configuration cannot be read, changed, signed or submitted as asked; the message is one line."""
