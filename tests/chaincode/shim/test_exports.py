# SPDX-License-Identifier: Apache-2.0
"""The public face is what `__all__` says."""

import chaincode.shim


def test_every_public_name_is_listed_and_exists() -> None:
    for name in chaincode.shim.__all__:
        assert getattr(chaincode.shim, name).__module__.startswith("chaincode.shim")
