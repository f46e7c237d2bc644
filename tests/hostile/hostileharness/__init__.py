# SPDX-License-Identifier: Apache-2.0
"""What attackers have: keys, a chaincode that lies, sockets."""
