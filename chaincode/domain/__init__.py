# SPDX-License-Identifier: Apache-2.0
"""The law of the consortium: pure functions on frozen records, standard library only.

Nothing here reads a clock, a file, a socket or chance. Time, chance and every record that a rule depends on are
arguments; what a rule wants written and announced is its answer.
"""
