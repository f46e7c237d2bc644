# SPDX-License-Identifier: Apache-2.0
"""Writes the generated part of docs/guide/api.md; `make generate` runs it, and a test compares."""

from pathlib import Path

from gateway.api.guide import within

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guide" / "api.md"

if __name__ == "__main__":
    PAGE.write_text(within(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
