# SPDX-License-Identifier: Apache-2.0
"""Text that others wrote, made safe to print."""


def plain(text: str) -> str:
    """`text` without anything that a terminal would obey: others wrote it, and it is only to be read."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else f"\\x{ord(each):02x}" for each in text)
