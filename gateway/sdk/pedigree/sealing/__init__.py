# SPDX-License-Identifier: Apache-2.0
"""Data at rest and on its way: sealed blobs, the keys that open them, and how a key is released to one recipient.

`docs/sealing.md` has the forms byte by byte. Nothing in it reads files or networks: bytes come in, and bytes or a
refusal that says why come out. `blobs` is the form of a sealed blob, `streams` seals and opens it, `datakeys` wraps its
key for its owner, and `release` for whom a grant names.
"""
