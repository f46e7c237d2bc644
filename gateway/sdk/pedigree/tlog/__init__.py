# SPDX-License-Identifier: Apache-2.0
"""Transparency logs in C2SP's formats: signed notes, checkpoints, cosignatures, proofs and trust policies.

What logs and witnesses write and what verifiers read is written once here. Nothing in it reads files or networks:
bytes come in, and values, bytes or a refusal that says why come out. Only `keys` needs `cryptography`, and a clock.
"""
