# SPDX-License-Identifier: Apache-2.0
"""Makes tests/vectors/sealing.json: sealed blobs, wrapped and released keys, and what is refused of them.

``python tests/harness/sealingvectors.py`` writes the file. Nothing of `gateway.sealing` is used: this is a second
implementation, written from docs/sealing.md, RFC 9180 (sections 4.1 and 5.1) and RFC 5869, slow and in one piece.
"""

import hmac
import json
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FILE: Final = Path(__file__).resolve().parents[1] / "vectors" / "sealing.json"
UNKNOWN: Final = (1 << 64) - 1
Json = dict[str, Any]


def drawn(name: str, length: int) -> bytes:
    """Bytes that look like chance, the same every time."""
    return b"".join(sha256(f"{name} {number}".encode()).digest() for number in range(-(-length // 32)))[:length]


def sealed(key: bytes, blob_id: bytes, prefix: bytes, content: bytes, chunk: int, *, size: int | None = -1) -> bytes:
    """A whole sealed blob; `size` is what its header says, by default the truth."""
    said = UNKNOWN if size is None else len(content) if size == -1 else size
    header = b"PEDBLOB\0" + struct.pack(">BBHIQ", 1, 1, 0, chunk, said) + blob_id
    header += _key_id(key) + prefix + b"\0"
    chunks = [content[at : at + chunk] for at in range(0, len(content), chunk)] or [b""]
    whole = header
    for number, each in enumerate(chunks):
        nonce = prefix + number.to_bytes(4, "big") + bytes([number == len(chunks) - 1])
        whole += AESGCM(key).encrypt(nonce, each, header)
    return whole


def _key_id(key: bytes) -> bytes:
    return sha256(b"pedigree-data-key-id/v1\0" + key).digest()[:16]


def wrapped(kek: bytes, nonce: bytes, key: bytes, blob_id: bytes) -> bytes:
    """A data key under a key-encryption key."""
    head = b"\x01" + sha256(b"pedigree-key-encryption-key-id/v1\0" + kek).digest()[:8]
    return head + nonce + AESGCM(kek).encrypt(nonce, key, b"pedigree-data-key/v1\0" + head + blob_id)


def released(key: bytes, ephemeral: int, recipient: ec.EllipticCurvePublicKey, info: bytes) -> bytes:
    """A data key for a recipient, by HPKE with a given ephemeral key."""
    own = ec.derive_private_key(ephemeral, ec.SECP256R1())
    encapsulated, theirs = _point(own.public_key()), _point(recipient)
    kem = b"KEM" + struct.pack(">H", 0x0010)
    eae = _extract(kem, b"", b"eae_prk", own.exchange(ec.ECDH(), recipient))
    shared = _expand(kem, eae, b"shared_secret", encapsulated + theirs, 32)
    hpke = b"HPKE" + struct.pack(">HHH", 0x0010, 0x0001, 0x0002)
    context = b"\0" + _extract(hpke, b"", b"psk_id_hash", b"") + _extract(hpke, b"", b"info_hash", info)
    secret = _extract(hpke, shared, b"secret", b"")
    sealing, nonce = _expand(hpke, secret, b"key", context, 32), _expand(hpke, secret, b"base_nonce", context, 12)
    return b"\x01" + encapsulated + AESGCM(sealing).encrypt(nonce, key, b"")


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _extract(suite: bytes, salt: bytes, label: bytes, keying: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + keying, "sha256")


def _expand(suite: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    asked = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(secret, asked + b"\x01", "sha256")[:length]  # one block is enough: length is at most 32


def made() -> Json:
    """The vectors."""
    return {
        "source": "made by tests/harness/sealingvectors.py, a second implementation",
        "blobs": [*_blobs()],
        "refused": [*_refused()],
        "long": _long(),
        "wrapped": _wrapped(),
        "released": _released(),
    }


KEY, BLOB, PREFIX = drawn("key", 32), drawn("blob", 32), drawn("prefix", 7)
_CONTENT: Final = drawn("content", 80)


def _blobs() -> list[Json]:
    found = []
    for name, length, size in (
        ("nothing", 0, -1),
        ("one byte", 1, -1),
        ("one whole chunk", 32, -1),
        ("a chunk and a byte", 33, -1),
        ("two and a half chunks", 80, -1),
        ("of a size that nobody knew", 80, None),
        ("nothing, and nobody knew", 0, None),
        ("two whole chunks, and nobody knew", 64, None),
    ):
        content = _CONTENT[:length]
        whole = sealed(KEY, BLOB, PREFIX, content, 32, size=size)
        found.append(_vector(name, whole) | {"content": content.hex(), "size": None if size is None else length})
    return found


def _vector(name: str, whole: bytes) -> Json:
    return {"name": name, "key": KEY.hex(), "chunk": 32, "blob_id": BLOB.hex(), "prefix": PREFIX.hex(),
            "sealed": whole.hex()}  # fmt: skip


def _refused() -> list[Json]:
    known, unknown = (sealed(KEY, BLOB, PREFIX, _CONTENT, 32, size=size) for size in (-1, None))
    other = sealed(KEY, drawn("other", 32), PREFIX, _CONTENT, 32)
    first, second, third = known[80:128], known[128:176], known[176:]
    altered = "is not what was sealed there: it was altered, moved, or is another blob's"
    cases: list[tuple[str, bytes, str]] = [
        ("a flipped bit", known[:130] + bytes([known[130] ^ 1]) + known[131:], f"chunk 1 {altered}"),
        ("two chunks that changed places", known[:80] + second + first + third, f"chunk 0 {altered}"),
        ("a chunk twice", known[:80] + first + first + third, f"chunk 1 {altered}"),
        ("a chunk of another blob", known[:128] + other[128:176] + third, f"chunk 1 {altered}"),
        ("a header of another blob", other[:80] + known[80:], f"chunk 0 {altered}"),
        ("cut within a chunk", known[:150], "the blob ends within chunk 1: 150 of 208 bytes"),
        ("cut between chunks", known[:176], "the blob ends within chunk 2: 176 of 208 bytes"),
        ("nothing but a header", known[:80], "the blob ends within chunk 0: 80 of 208 bytes"),
        ("a byte too many", known + b"\0", "bytes follow on the last chunk, in the place of chunk 3"),
        ("cut between chunks, and nobody knew its size", unknown[:176],
         "the blob ends after chunk 1, which is not its last: it was cut"),
        ("cut within a tag, and nobody knew its size", unknown[:190],
         "the blob ends within chunk 2: 190 bytes do not divide into chunks with their tags"),
        ("cut, and a header that says so", known[:16] + (64).to_bytes(8, "big") + known[24:176], f"chunk 0 {altered}"),
        ("less than a header", known[:79], "it has 79 bytes, and the header of a sealed blob alone has 80"),
        ("another magic", b"X" + known[1:], "it does not begin as a sealed blob does"),
        ("another version", known[:8] + b"\x02" + known[9:],
         "its form is version 2 with suite 1; known is version 1 with suite 1"),
        ("a byte that is not zero", known[:79] + b"\x01" + known[80:],
         "bytes of its header that are to be zero are not"),
        ("chunks that are too long", known[:12] + (1 << 21).to_bytes(4, "big") + known[16:],
         "its chunks have 2097152 bytes; they have 16 to 1048576"),
        ("more chunks than can be counted", known[:16] + (1 << 63).to_bytes(8, "big") + known[24:],
         "its size, 9223372036854775808 bytes, is more than 4294967296 chunks hold"),
        ("another key's", known[:56] + bytes(16) + known[72:],
         f"the blob was sealed under the key {'00' * 16}, and this is {_key_id(KEY).hex()}"),
    ]  # fmt: skip
    return [_vector(name, whole) | {"refused": text} for name, whole, text in cases]


def _long() -> Json:
    """A blob with chunks of the usual size, by its SHA-256."""
    content = drawn("long", 150_000)
    whole = sealed(KEY, BLOB, PREFIX, content, 65_536)
    return {"key": KEY.hex(), "blob_id": BLOB.hex(), "prefix": PREFIX.hex(), "bytes": len(content),
            "content_sha256": sha256(content).hexdigest(), "sealed_sha256": sha256(whole).hexdigest()}  # fmt: skip


def _wrapped() -> Json:
    kek = drawn("kek", 32)
    whole = wrapped(kek, drawn("nonce", 12), KEY, BLOB)
    return {"key_encryption_key": kek.hex(), "key": KEY.hex(), "blob_id": BLOB.hex(), "wrapped": whole.hex()}


def _released() -> Json:
    recipient = int.from_bytes(drawn("recipient", 31), "big")
    public = ec.derive_private_key(recipient, ec.SECP256R1()).public_key()
    lines = {"channel": "main", "grant": "wdbc-lab", "attempt": drawn("attempt", 32).hex(),
             "digest": drawn("root", 32).hex(), "blob_id": BLOB.hex()}  # fmt: skip
    info = "".join(f"{line}\n" for line in ("pedigree-release/v1", *lines.values())).encode()
    whole = released(KEY, int.from_bytes(drawn("ephemeral", 31), "big"), public, info)
    return {"recipient": f"{recipient:064x}", **lines, "info": info.hex(), "key": KEY.hex(), "released": whole.hex()}


def written(vectors: Json) -> str:
    """The text of the file."""
    return json.dumps(vectors, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(made()), encoding="utf-8")
