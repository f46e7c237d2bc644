# SPDX-License-Identifier: Apache-2.0
"""The `pedigree` command: what an application can do through the SDK, a shell can."""

from gateway.cli.program import main as main
