# SPDX-License-Identifier: Apache-2.0
"""What a user can do with a gateway, as one table that every interface derives from."""
