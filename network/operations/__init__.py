# SPDX-License-Identifier: Apache-2.0
"""What operators do with a network that is there: examine it, back it up, load it, upgrade its chaincode."""
