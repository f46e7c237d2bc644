# SPDX-License-Identifier: Apache-2.0
"""The REST face: parse, one service call, render."""
