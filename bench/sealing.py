# SPDX-License-Identifier: Apache-2.0
"""What sealing costs: whole blobs and ranges of them, beside bare AES-256-GCM over the same chunks in the same run.

What is counted is CPU of one core. Content and blob are in memory: what a disk adds is no matter of sealing. Ranges are
4 MiB at places that no chunk begins at.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.measure import Metric, alternate, median, paired_ratio
from gateway.sealing.blobs import CHUNK, Header
from gateway.sealing.release import Purpose, receive, release
from gateway.sealing.streams import Blob, Held, seal

_SIZE = 256 << 20
_PIECE = 1 << 20
_RANGE = 4 << 20
_RANGES = 32
_RELEASES = 200


def measure(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Seal and open; neither the ledger nor the seconds matter."""
    del kind, seconds
    key = os.urandom(32)
    piece = os.urandom(_PIECE)
    pieces = [piece] * (_SIZE // _PIECE)
    header = Header.new(key, size=_SIZE)
    whole = b"".join(seal(key, header, pieces))
    blob = Blob(key, Held(whole))
    places = [(7_919 * CHUNK * (number + 1) + 12_345) % (_SIZE - _RANGE) for number in range(_RANGES)]

    sealing = _rate(_SIZE, lambda: _drain(seal(key, header, pieces)))
    opening = _rate(_SIZE, lambda: _drain(blob.read()))
    ranges = _rate(_RANGE * _RANGES, lambda: _drain(part for place in places for part in blob.read(place, _RANGE)))
    bare_sealing = _rate(_SIZE, lambda: _bare(key, piece, sealed=False))
    bare_opening = _rate(_SIZE, lambda: _bare(key, piece, sealed=True))
    found = alternate(rounds, sealing, bare_sealing, opening, bare_opening, ranges)
    sealed, bare_sealed, opened, bare_opened, ranged = found
    how = f"CPU of one core, {_SIZE >> 20} MiB in chunks of {CHUNK >> 10} KiB, × {rounds}, median"
    bare = "AES-256-GCM of cryptography, the same chunks"
    released, received = _releases(key, header)
    return [
        Metric("sealing.seal_gb_s", median(sealed), "GB/s", how, bare, paired_ratio(sealed, bare_sealed)),
        Metric("sealing.open_gb_s", median(opened), "GB/s", how, bare, paired_ratio(opened, bare_opened)),
        Metric("sealing.range_gb_s", median(ranged), "GB/s", f"{_RANGES} ranges of {_RANGE >> 20} MiB; {how}", bare,
               paired_ratio(ranged, bare_opened)),
        Metric("sealing.bare_seal_gb_s", median(bare_sealed), "GB/s", f"{bare}; {how}"),
        Metric("sealing.bare_open_gb_s", median(bare_opened), "GB/s", f"{bare}; {how}"),
        Metric("sealing.release_ms", released, "ms", f"HPKE to a key on P-256, CPU, {_RELEASES} times, mean"),
        Metric("sealing.receive_ms", received, "ms", f"HPKE with a key on P-256, CPU, {_RELEASES} times, mean"),
    ]  # fmt: skip


def _rate(size: int, run: Callable[[], object]) -> Callable[[], float]:
    """Measures one run, in 10^9 bytes for each second of CPU."""

    def timed() -> float:
        start = time.process_time()
        run()
        return size / (time.process_time() - start) / 1e9

    return timed


def _drain(pieces: Iterable[bytes]) -> None:
    for _ in pieces:
        pass


def _bare(key: bytes, piece: bytes, *, sealed: bool) -> None:
    """The cipher alone, over as many chunks."""
    cipher, nonce, said = AESGCM(key), bytes(12), bytes(80)
    chunks = [piece[at : at + CHUNK] for at in range(0, len(piece), CHUNK)]
    if sealed:
        chunks = [cipher.encrypt(nonce, chunk, said) for chunk in chunks]
    work = cipher.decrypt if sealed else cipher.encrypt
    for _ in range(_SIZE // _PIECE):
        for chunk in chunks:
            work(nonce, chunk, said)


def _releases(key: bytes, header: Header) -> tuple[float, float]:
    holder = ec.generate_private_key(ec.SECP256R1())
    purpose = Purpose("main", "grant", "ab" * 32, "cd" * 32, header.blob_id)
    start = time.process_time()
    released = [release(key, holder.public_key(), purpose) for _ in range(_RELEASES)]
    middle = time.process_time()
    for each in released:
        receive(each, holder, purpose)
    end = time.process_time()
    return (middle - start) / _RELEASES * 1_000, (end - middle) / _RELEASES * 1_000
