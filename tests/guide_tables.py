# SPDX-License-Identifier: Apache-2.0
"""Writes docs/permissions.md and the generated part of docs/guide/api.md; `make generate` runs it, tests compare."""

from pathlib import Path

from gateway.api import permissionspage
from gateway.api.guide import within

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "guide" / "api.md"

if __name__ == "__main__":
    PAGE.write_text(within(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    (DOCS / "permissions.md").write_text(permissionspage.page(), encoding="utf-8")
