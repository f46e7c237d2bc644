# SPDX-License-Identifier: Apache-2.0
"""The rows of a Parquet file, written as canonical JSON: a program of its own, because its input is a stranger's."""
