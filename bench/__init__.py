# SPDX-License-Identifier: Apache-2.0
"""Measurements: what `make bench` runs; every figure goes to build/bench.json."""
