# SPDX-License-Identifier: Apache-2.0
"""Changes of a channel's configuration, from the outside: read, change, compute the update, have it signed, submit."""
