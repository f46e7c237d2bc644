# SPDX-License-Identifier: Apache-2.0
"""`python -m gateway.cli` is `pedigree`."""

from gateway.cli import main

main(prog_name="pedigree")
