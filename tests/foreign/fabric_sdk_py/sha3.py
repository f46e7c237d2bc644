# SPDX-License-Identifier: Apache-2.0
"""Stands in for pysha3, which fabric-sdk-py imports and which does not compile any more."""

from hashlib import sha3_256, sha3_384, sha3_512

__all__ = ["sha3_256", "sha3_384", "sha3_512"]
