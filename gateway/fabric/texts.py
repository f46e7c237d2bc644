# SPDX-License-Identifier: Apache-2.0
"""Texts that others wrote, made fit for a log line, a terminal and an answer."""

from __future__ import annotations

__all__ = ["said"]

_LONGEST = 300


def said(text: str, longest: int = _LONGEST) -> str:
    """The text on one line and bounded; what does not print (control and direction characters) shows as an escape."""
    cut = text[:longest]
    if cut.isprintable():  # nearly always
        return cut if len(text) <= longest else f"{cut}…"
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape", "replace").decode() for each in cut)
    return shown if len(text) <= longest else f"{shown}…"
