# SPDX-License-Identifier: Apache-2.0
"""What callers of a gateway prove who they are with, read and verified: certificates and tokens."""
