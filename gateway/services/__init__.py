# SPDX-License-Identifier: Apache-2.0
"""Use cases of one organisation's gateway: no Flask, no gRPC, no SQL."""
