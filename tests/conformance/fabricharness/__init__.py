# SPDX-License-Identifier: Apache-2.0
"""What the conformance suites share: raw messages, networks under test, and chaincode deployed on them."""
