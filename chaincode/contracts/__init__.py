# SPDX-License-Identifier: Apache-2.0
"""The functions of the chaincode: load what a rule needs, ask it, write what it answers; nothing is decided here."""
