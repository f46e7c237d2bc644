# SPDX-License-Identifier: Apache-2.0
"""Keys of logs and witnesses: which bytes each algorithm signs, and how a key is written.

A key's id is the first four bytes of ``SHA-256(name ‖ 0A ‖ algorithm (1) ‖ public key)``; as text a public key is
``name+hex(id)+base64(algorithm ‖ public key)``. Signature lines hold, after the id::

    01  Ed25519 (RFC 8032) over the note's text                            signature (64)
    04  Ed25519 over "cosignature/v1\ntime <time>\n" ‖ the note's text     time (8, big-endian) ‖ signature (64)
    06  ML-DSA-44 (FIPS 204) over `subtree_message` of the checkpoint      time (8, big-endian) ‖ signature (2420)

Sources: c2sp.org/signed-note (01), c2sp.org/tlog-cosignature (04, 06). The message of 06 leaves a checkpoint's further
lines out, and commits to the cosigner's name, which 04 does not.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.errors import BadSignature, MalformedCheckpoint, MalformedKey, shown
from gateway.tlog.lexis import LARGEST_NUMBER, decode_base64, encode_base64
from gateway.tlog.notes import KEY_ID, Key, is_name

LONGEST_TEXT: Final = 2_500
"""Bytes of a key as text: more than an ML-DSA-44 key with the longest name has."""
_TIME: Final = 8
_LONGEST_ORIGIN: Final = 255
_LABEL: Final = b"subtree/v1\n\0"


class Algorithm(IntEnum):
    """How a key signs notes, by the byte that stands for it."""

    ED25519 = 0x01
    COSIGNATURE_ED25519 = 0x04
    COSIGNATURE_ML_DSA_44 = 0x06


LOG_ALGORITHMS: Final = frozenset({Algorithm.ED25519, Algorithm.COSIGNATURE_ML_DSA_44})
"""What logs sign their checkpoints with."""
WITNESS_ALGORITHMS: Final = frozenset({Algorithm.COSIGNATURE_ED25519, Algorithm.COSIGNATURE_ML_DSA_44})
"""What witnesses sign checkpoints with: each states a time."""
_PUBLIC: Final = {Algorithm.ED25519: 32, Algorithm.COSIGNATURE_ED25519: 32, Algorithm.COSIGNATURE_ML_DSA_44: 1312}
_SIGNATURE: Final = {Algorithm.ED25519: 64, Algorithm.COSIGNATURE_ED25519: 72, Algorithm.COSIGNATURE_ML_DSA_44: 2428}
"""The bytes of a public key, and of a signature with its time."""

Clock = Callable[[], float]
"""Seconds since 1970."""


def key_id_of(name: str, algorithm: Algorithm, public: bytes) -> bytes:
    """The id of a key, four bytes."""
    return sha256(b"%s\n%c%s" % (name.encode(), algorithm, public)).digest()[:KEY_ID]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key by a name, which checks the signatures of notes."""

    name: str
    algorithm: Algorithm
    public: bytes
    """32 bytes (RFC 8032), or 1,312 (FIPS 204)."""
    key_id: bytes
    _loaded: Ed25519PublicKey | MLDSA44PublicKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, name: str, algorithm: Algorithm, public: bytes) -> "Verifier":
        """The key; raises `MalformedKey`."""
        if not is_name(name):
            raise MalformedKey(f"{shown(name)} is not a key's name: 1 to 255 bytes without spaces and plus signs")
        if len(public) != _PUBLIC[algorithm]:
            raise MalformedKey(f"the key of {shown(name)} has {len(public)} bytes, not {_PUBLIC[algorithm]}")
        loaded: Ed25519PublicKey | MLDSA44PublicKey
        if algorithm is Algorithm.COSIGNATURE_ML_DSA_44:
            loaded = MLDSA44PublicKey.from_public_bytes(public)
        else:
            loaded = Ed25519PublicKey.from_public_bytes(public)
        return cls(name, algorithm, public, key_id_of(name, algorithm, public), loaded)

    @classmethod
    def parse(cls, vkey: str | bytes) -> "Verifier":
        """The key that ``name+hex(id)+base64(algorithm ‖ public key)`` is; raises `MalformedKey`."""
        text = vkey.encode("utf-8", "surrogatepass") if isinstance(vkey, str) else vkey
        parts = text.split(b"+", 2) if len(text) <= LONGEST_TEXT else []
        if len(parts) != 3:
            raise MalformedKey(f"{shown(text)} is not a verifier key, which is name+hash+base64")
        try:
            name = parts[0].decode()
        except UnicodeDecodeError:
            raise MalformedKey(f"the name of the key {shown(text)} is not UTF-8 text") from None
        value = decode_base64(parts[2], lambda: f"the key of {shown(name)}", MalformedKey)
        try:
            algorithm = Algorithm(value[0])
        except (ValueError, IndexError):
            raise MalformedKey(f"the key of {shown(name)} is of an algorithm that is not known here") from None
        found = cls.of(name, algorithm, value[1:])
        if found.key_id.hex().encode() != parts[1]:
            raise MalformedKey(f"the hash of the key of {shown(name)} is {shown(parts[1])}, not {found.key_id.hex()}")
        return found

    @property
    def key(self) -> Key:
        """The name and the id that its signature lines bear."""
        return self.name, self.key_id

    @property
    def vkey(self) -> str:
        """The key as text."""
        encoded = encode_base64(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def verify(self, text: bytes, signature: bytes) -> int | None:
        """Check what a line holds after the id over a note's text; raises `BadSignature`.

        Returns the time that it states (seconds since 1970); 0 of an ML-DSA-44 cosignature states none, and is None,
        as is that of an algorithm without times.
        """
        if len(signature) != _SIGNATURE[self.algorithm]:
            raise BadSignature(f"the signature of {shown(self.name)} has {len(signature)} bytes of its own, not"
                               f" {_SIGNATURE[self.algorithm]}")  # fmt: skip
        stated = 0
        if self.algorithm is not Algorithm.ED25519:
            stated, signature = int.from_bytes(signature[:_TIME]), signature[_TIME:]
            if stated > LARGEST_NUMBER:
                raise BadSignature(f"the cosignature of {shown(self.name)} states a time beyond 2^63")
        try:
            self._loaded.verify(signature, signed_message(self.name, self.algorithm, stated, text))
        except InvalidSignature:
            raise BadSignature(f"the signature of {shown(self.name)} is not over this text") from None
        except MalformedCheckpoint as exc:
            raise BadSignature(f"{shown(self.name)} cosigns checkpoints only: {exc}") from None
        return stated if stated or self.algorithm is Algorithm.COSIGNATURE_ED25519 else None


def signed_message(name: str, algorithm: Algorithm, stated: int, text: bytes) -> bytes:
    """What a key signs of a note's text; raises `MalformedCheckpoint` for a text that ML-DSA-44 cannot cosign."""
    match algorithm:
        case Algorithm.ED25519:
            return text
        case Algorithm.COSIGNATURE_ED25519:
            return b"cosignature/v1\ntime %d\n%s" % (stated, text)
        case Algorithm.COSIGNATURE_ML_DSA_44:
            found = Checkpoint.parse(text)
            return subtree_message(name, stated, found.origin, 0, found.size, found.root)


def subtree_message(name: str, stated: int, origin: str, start: int, end: int, root: bytes) -> bytes:
    """What an ML-DSA-44 cosigner signs of the leaves from `start` to before `end` of a log::

        "subtree/v1\\n\\0" ‖ length of name (1) ‖ name ‖ time (8) ‖ length of origin (1) ‖ origin
          ‖ start (8) ‖ end (8) ‖ root (32)

    Numbers are big-endian. Raises `MalformedCheckpoint` for an origin of more than 255 bytes.
    """
    named, logged = name.encode(), origin.encode()
    if len(logged) > _LONGEST_ORIGIN:
        raise MalformedCheckpoint(f"the origin has {len(logged)} bytes, and at most {_LONGEST_ORIGIN} can be cosigned")
    numbers = start.to_bytes(8) + end.to_bytes(8)
    parts = (_LABEL, bytes([len(named)]), named, stated.to_bytes(_TIME), bytes([len(logged)]), logged, numbers, root)
    return b"".join(parts)


class Signer(ABC):
    """A private key by a name, which signs notes."""

    def __init__(self, verifier: Verifier) -> None:
        self.verifier = verifier

    @property
    def key(self) -> Key:
        """The name and the id that its signature lines bear."""
        return self.verifier.key

    @abstractmethod
    def sign(self, text: bytes) -> bytes:
        """What a line holds after the id."""
        ...


class LogSigner(Signer):
    """A log's Ed25519 key (01)."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        """Raises `MalformedKey` for a name that no key can have."""
        super().__init__(Verifier.of(name, Algorithm.ED25519, private.public_key().public_bytes_raw()))
        self._private = private

    def sign(self, text: bytes) -> bytes:
        return self._private.sign(text)


class Cosigner(Signer):
    """A witness's key (04 with Ed25519, 06 with ML-DSA-44); a log may sign with ML-DSA-44 as well."""

    def __init__(self, name: str, private: Ed25519PrivateKey | MLDSA44PrivateKey, clock: Clock = time.time) -> None:
        """Assign; `clock` gives the time that a cosignature states. Raises `MalformedKey` for an impossible name."""
        is_ed25519 = isinstance(private, Ed25519PrivateKey)
        algorithm = Algorithm.COSIGNATURE_ED25519 if is_ed25519 else Algorithm.COSIGNATURE_ML_DSA_44
        super().__init__(Verifier.of(name, algorithm, private.public_key().public_bytes_raw()))
        self._private = private
        self._clock = clock

    def sign(self, text: bytes) -> bytes:
        """The time and the signature; raises `MalformedCheckpoint` for a text that ML-DSA-44 cannot cosign."""
        stated = int(self._clock())
        message = signed_message(self.verifier.name, self.verifier.algorithm, stated, text)
        return stated.to_bytes(_TIME) + self._private.sign(message)
