# SPDX-License-Identifier: Apache-2.0
"""How calls reach a network that fails: which peer, how many at once, what its errors mean, and its blocks."""
