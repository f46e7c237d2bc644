# SPDX-License-Identifier: Apache-2.0
"""Keys in a PKCS#11 token (SoftHSM2): they sign, never leave, and survive lost sessions."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from tokens import MISSING, MODULE, PIN, TOOL, configured, initialise

from gateway.fabric import KeyUnavailable
from gateway.identities.ca import FabricCa
from gateway.identities.errors import IdentityError, NoSuchIdentity, WalletError, WrongPassphrase
from gateway.identities.keys import private_pem
from gateway.identities.mspfolder import write_msp
from gateway.identities.wallets import open_wallet

pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed (extra hsm): keys in tokens go untested")

ORDERS = {"secp256r1": ec.SECP256R1().group_order, "secp384r1": ec.SECP384R1().group_order}

pytestmark = [
    pytest.mark.skipif(MODULE is None or TOOL is None, reason=MISSING),
]


@dataclass
class Token:
    """A fresh token; the library reads where tokens are once per process, so all tests share its folder."""

    module: Path
    label: str
    pin: bytes = PIN.encode()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    configuration = configured(folder := tmp_path_factory.mktemp("softhsm") / "softhsm")
    former = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    for label in ("one", "two"):
        initialise(configuration, label)
    yield folder
    if former is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = former


@pytest.fixture
def token(tokens: Path) -> Token:
    assert MODULE is not None
    return Token(MODULE, "one")


@pytest.fixture
def wallet(token: Token, tmp_path: Path) -> Iterator[Any]:
    made = open_wallet(tmp_path / "w", lambda: token.pin, make="hsm", module=token.module, token=token.label)
    yield made
    made.close()


@pytest.mark.parametrize("algorithm", ["p256", "p384"])
def test_an_identity_is_enrolled_with_a_key_that_is_in_the_token(
    wallet: Any, token: Token, ca: FabricCa, tmp_path: Path, algorithm: str
) -> None:
    enrolled = ca.enrol("admin", "adminpw-1234", msp_id="HospitalMSP", key=wallet.new_key(algorithm))
    wallet.put("admin", enrolled)
    assert b"PRIVATE" not in wallet.path("admin").read_bytes()
    wallet.close()
    again = open_wallet(tmp_path / "w", lambda: token.pin)
    found = again.get("admin")
    assert (found.certificate, found.authorities, found.since) == (
        enrolled.certificate,
        enrolled.authorities,
        enrolled.since,
    )
    # It signs requests to its CA as any other identity does, and renews itself into the token.
    renewed = ca.reenrol(found, key=again.new_key(algorithm))
    again.put("admin", renewed)
    assert again.get("admin").certificate == renewed.certificate != enrolled.certificate
    assert found.signer(bytes(32))
    again.close()


@pytest.mark.parametrize("algorithm", ["p256", "p384"])
def test_every_signature_is_right_and_has_a_low_s(wallet: Any, algorithm: str) -> None:
    key = wallet.new_key(algorithm)
    public = key.public_key()
    half = ORDERS[public.curve.name] // 2
    digest = hashes.SHA384() if algorithm == "p384" else hashes.SHA256()
    for number in range(64):
        data = bytes([number]) * digest.digest_size
        signature = key.sign(data, ec.ECDSA(Prehashed(digest)))
        assert decode_dss_signature(signature)[1] <= half
        public.verify(signature, data, ec.ECDSA(Prehashed(digest)))
    public.verify(key.sign(b"a message", ec.ECDSA(digest)), b"a message", ec.ECDSA(digest))


def test_the_key_never_leaves(wallet: Any, root: Any, tmp_path: Path) -> None:
    key = wallet.new_key("p256")
    with pytest.raises(IdentityError, match="never leaves"):
        private_pem(key)
    for call in (key.private_numbers, lambda: key.exchange(ec.ECDH(), key.public_key())):
        with pytest.raises(NotImplementedError):
            call()
    handle = wallet._pool.run(
        lambda pooled: [
            (item[pkcs11.Attribute.EXTRACTABLE], item[pkcs11.Attribute.SENSITIVE])
            for item in pooled.session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY})
        ]
    )
    assert set(handle) == {(False, True)}
    from dataclasses import replace

    member = root.member()
    credential = replace(member, certificate=root.issue(key.public_key()), key=key)
    with pytest.raises(IdentityError, match="never leaves"):
        write_msp(tmp_path / "msp", credential)


def test_a_key_from_outside_is_not_taken(wallet: Any, root: Any) -> None:
    with pytest.raises(IdentityError, match="enrol"):
        wallet.put("gateway", root.member())
    with pytest.raises(IdentityError, match="p256 or p384"):
        wallet.new_key("ed25519")


def test_many_threads_sign_over_few_sessions(wallet: Any) -> None:
    key = wallet.new_key("p256")
    algorithm = ec.ECDSA(Prehashed(hashes.SHA256()))

    def sign(number: int) -> None:
        data = number.to_bytes(32, "big")
        key.public_key().verify(key.sign(data, algorithm), data, algorithm)

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(sign, range(240)))
    assert 1 <= len(wallet._pool._free) <= 8


# python-pkcs11 complains from a destructor that a search's session is gone; that it is gone is the point here.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_lost_sessions_are_opened_again(wallet: Any, kit: SimpleNamespace) -> None:
    key = wallet.new_key("p256")
    algorithm = ec.ECDSA(Prehashed(hashes.SHA256()))
    key.sign(bytes(32), algorithm)
    for session in [*(pooled.session for pooled in wallet._pool._free), wallet._pool._login]:
        session.close()
    key.sign(bytes(32), algorithm)


def test_signing_goes_on_while_sessions_are_lost(wallet: Any) -> None:
    key = wallet.new_key("p256")
    algorithm = ec.ECDSA(Prehashed(hashes.SHA256()))

    def sign(number: int) -> bool:
        if number % 40 == 20:
            wallet._pool._forget(wallet._pool._generation)
        return bool(key.sign(bytes(32), algorithm))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(sign, range(200)))


def test_removing_destroys_the_key(wallet: Any, ca: FabricCa, tmp_path: Path) -> None:
    enrolled = ca.enrol("admin", "adminpw-1234", msp_id="HospitalMSP", key=wallet.new_key("p256"))
    wallet.put("admin", enrolled)
    content = wallet.path("admin").read_bytes()
    wallet.remove("admin")
    wallet.path("admin").write_bytes(content)
    wallet.path("admin").chmod(0o600)
    with pytest.raises(NoSuchIdentity, match="right token"):
        wallet.get("admin")
    with pytest.raises(KeyUnavailable, match="NoSuchKey"):
        enrolled.signer(bytes(32))


def test_a_wrong_pin_is_one_line(token: Token, tmp_path: Path) -> None:
    with pytest.raises(WrongPassphrase, match="the PIN does not open token 'two'"):
        open_wallet(tmp_path / "w", lambda: b"000000", make="hsm", module=token.module, token="two")
    assert not (tmp_path / "w").exists()


def test_a_token_or_library_that_is_not_there_is_named(token: Token, tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="'none'"):
        open_wallet(tmp_path / "w", lambda: token.pin, make="hsm", module=token.module, token="none")
    with pytest.raises(WalletError, match=r"nothing\.so"):
        open_wallet(tmp_path / "w", lambda: token.pin, make="hsm", module=tmp_path / "nothing.so", token="one")
    with pytest.raises(WalletError, match="module"):
        open_wallet(tmp_path / "w", lambda: token.pin, make="hsm")
