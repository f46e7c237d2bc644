# SPDX-License-Identifier: Apache-2.0
"""The owner's keys wrap and are renewed; a released key is for one recipient and one attempt."""

import datetime
import os
from base64 import b64encode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mlkem, x25519
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.sealing.datakeys import MOST_KEYS, WRAPPED, KeyEncryptionKeys
from gateway.sealing.errors import MalformedKey, MissingKey, SealError, WrongKey
from gateway.sealing.release import Holder, Purpose, parse_public_key, parse_recipient, receive, release

BLOB = bytes(range(32))
KEY = bytes(32)
PURPOSE = Purpose("main", "wdbc-lab", "ab" * 32, "cd" * 32, BLOB)
OWN = ec.generate_private_key(ec.SECP256R1())
HALVES = mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
HYBRID = MLKEM768X25519PrivateKey(*HALVES)


def made() -> KeyEncryptionKeys:
    return KeyEncryptionKeys([os.urandom(32)])


def test_a_wrapped_key_is_its_own_blobs_alone() -> None:
    keys = made()
    wrapped = keys.wrap(KEY, BLOB)
    assert len(wrapped) == WRAPPED
    assert keys.unwrap(wrapped, BLOB) == KEY
    with pytest.raises(WrongKey, match="another blob's"):
        keys.unwrap(wrapped, bytes(32))
    with pytest.raises(MalformedKey, match="a blob's id has 32 bytes"):
        keys.wrap(KEY, b"")


@given(st.integers(0, WRAPPED - 1), st.integers(0, 7))
def test_a_wrapped_key_with_a_changed_bit_is_refused(place: int, bit: int) -> None:
    keys = made()
    wrapped = bytearray(keys.wrap(KEY, BLOB))
    wrapped[place] ^= 1 << bit
    with pytest.raises(SealError):
        keys.unwrap(bytes(wrapped), BLOB)


def test_another_key_encryption_key_is_named() -> None:
    keys, other = made(), made()
    wrapped = keys.wrap(KEY, BLOB)
    text = f"wrapped under the key-encryption key {keys.current.hex()}, and here is {other.current.hex()}"
    with pytest.raises(MissingKey, match=text):
        other.unwrap(wrapped, BLOB)


def test_renewed_keys_wrap_anew_and_still_open_what_was_wrapped() -> None:
    old = made()
    wrapped = old.wrap(KEY, BLOB)
    renewed = old.renewed()
    assert renewed.unwrap(wrapped, BLOB) == KEY
    again = renewed.rewrap(wrapped, BLOB)
    assert renewed.alone().unwrap(again, BLOB) == KEY
    assert renewed.rewrap(again, BLOB) == again
    with pytest.raises(MissingKey):
        renewed.alone().unwrap(wrapped, BLOB)


def test_a_line_of_keys_is_read_as_it_is_written_and_never_shown() -> None:
    keys = made().renewed()
    assert KeyEncryptionKeys.parse(keys.format()).format() == keys.format()
    for line in ("", " ", "00" * 31, "0G" * 32, f"{'00' * 32}  {'11' * 32}", "AB" * 32, f"{'ab' * 32}\n", "é"):
        with pytest.raises(MalformedKey) as refused:
            KeyEncryptionKeys.parse(line)
        assert line.strip() == "" or line.strip() not in str(refused.value)
    for _ in range(2 * MOST_KEYS):
        keys = keys.renewed()
    assert len(keys.format().split()) == MOST_KEYS
    with pytest.raises(MalformedKey):
        KeyEncryptionKeys([])


@pytest.mark.parametrize("holder", [OWN, HYBRID], ids=["P-256", "hybrid"])
def test_a_released_key_is_received_by_its_recipient_for_its_purpose(holder: Holder) -> None:
    released = release(KEY, holder.public_key(), PURPOSE)
    assert receive(released, holder, PURPOSE) == KEY
    others = [
        Purpose("side", "wdbc-lab", "ab" * 32, "cd" * 32, BLOB),
        Purpose("main", "wdbc-lab2", "ab" * 32, "cd" * 32, BLOB),
        Purpose("main", "wdbc-lab", "ac" * 32, "cd" * 32, BLOB),
        Purpose("main", "wdbc-lab", "ab" * 32, "cc" * 32, BLOB),
        Purpose("main", "wdbc-lab", "ab" * 32, "cd" * 32, bytes(32)),
    ]
    for other in others:
        with pytest.raises(WrongKey):
            receive(released, holder, other)
    for place in (1, 40, len(released) - 1):
        changed = released[:place] + bytes([released[place] ^ 1]) + released[place + 1 :]
        with pytest.raises(WrongKey):
            receive(changed, holder, PURPOSE)
    with pytest.raises(MalformedKey):
        receive(released[:-1], holder, PURPOSE)
    with pytest.raises(MalformedKey, match="has a line end in it"):
        release(KEY, holder.public_key(), Purpose("a\nb", "", "", "", BLOB))


def test_a_key_released_to_another_is_refused() -> None:
    released = release(KEY, OWN.public_key(), PURPOSE)
    with pytest.raises(WrongKey):
        receive(released, ec.generate_private_key(ec.SECP256R1()), PURPOSE)
    with pytest.raises(MalformedKey, match="to a key of this kind"):
        receive(released, HYBRID, PURPOSE)


def _pem(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


def _certificate() -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, OWN.public_key(), 1, now, now + datetime.timedelta(days=1))
    return builder.sign(OWN, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_recipient_is_a_certificate_a_public_key_or_a_hybrid_one() -> None:
    hybrid = b64encode(b"".join(each.public_key().public_bytes_raw() for each in HALVES)).decode()
    for text, holder in ((_pem(OWN.public_key()), OWN), (_certificate(), OWN), (f"mlkem768-x25519:{hybrid}", HYBRID)):
        assert receive(release(KEY, parse_recipient(text), PURPOSE), holder, PURPOSE) == KEY
    der = OWN.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert parse_public_key(der) == OWN.public_key()


@pytest.mark.parametrize(
    "text",
    ["", "x" * 20_000, "-----BEGIN CERTIFICATE-----", "mlkem768-x25519:AAAA", "mlkem768-x25519:é",
     _pem(ec.generate_private_key(ec.SECP384R1()).public_key()),
     _pem(ed25519.Ed25519PrivateKey.generate().public_key())],
    ids=["nothing", "long", "cut", "short", "no base64", "P-384", "Ed25519"],
)  # fmt: skip
def test_what_is_no_recipients_key_is_refused(text: str) -> None:
    with pytest.raises(MalformedKey):
        parse_recipient(text)
    with pytest.raises(MalformedKey):
        parse_public_key(text.encode())
