# SPDX-License-Identifier: Apache-2.0
"""The wallet whose private keys are made in a PKCS#11 token and never leave it; certificates are files beside it.

Needs the extra `hsm` (python-pkcs11). Open the wallet after forking: a PKCS#11 library does not survive a fork.
A key is found by CKA_ID, the first 20 bytes of the SHA-256 of its public point. Renewing leaves the former key in the
token, since submissions may still be signed with it; `remove` destroys the key of the identity that it removes.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

import pkcs11
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from gateway.fabric.durable import Disk
from gateway.identities import bundle
from gateway.identities.credential import Credential, load_certificates
from gateway.identities.cryptoki import begin_anew, load
from gateway.identities.errors import IdentityError, NoSuchIdentity, WalletError, WrongPassphrase
from gateway.identities.keys import PrivateKey, algorithm_of
from gateway.identities.wallet import Wallet, read_mark, write_mark

SESSIONS = 8
"""How many signatures are made at once; each session makes one at a time."""

_LABEL = "pedigree"
_TRIES = 3
_MEND_AFTER = 2.0
"""Seconds after a failure, and between two attempts, before the library itself is begun anew."""
_Answer = TypeVar("_Answer")


class PooledSession:
    """A session, and the keys that were looked up in it: a handle is good for one session only."""

    __slots__ = ("_keys", "generation", "session")

    def __init__(self, session: pkcs11.Session, generation: int) -> None:
        self.session = session
        self.generation = generation
        self._keys: dict[bytes, Any] = {}

    def key(self, key_id: bytes) -> Any:
        """A private key by its CKA_ID; raises `pkcs11.NoSuchKey`."""
        known = self._keys.get(key_id)
        if known is None:
            known = self.session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=key_id)
            self._keys[key_id] = known
        return known


class Pool:
    """Sessions with one token, opened as they are needed; thread-safe.

    When a session fails all are thrown away, and what failed is tried again with a fresh one: a token that was taken
    out and put back, or a library that lost its sessions, costs no restart.
    """

    def __init__(self, module: Path, token: str, pin: str, *, size: int = SESSIONS) -> None:
        self._module = module
        self._label = token
        self._token = self._found()
        self._what = f"token {token!r}"
        self._pin = pin
        self._size = size
        self._failed_at: float | None = None
        """When every try of a call failed, by the monotonic clock; None when one has succeeded since."""
        self._mending = threading.Lock()
        self._free: list[PooledSession] = []
        self._slots = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        # Logging in is the whole process's, and closing any session that logged in would log all of them out.
        self._login: pkcs11.Session | None = None
        self._generation = 0
        self._refused: WrongPassphrase | None = None
        """A token locks itself after a few wrong PINs: one that was refused is not tried again."""
        self.run(lambda pooled: None)

    def run(self, call: Callable[[PooledSession], _Answer]) -> _Answer:
        """What `call` does with a session of its own; raises `WalletError` when the token fails each time."""
        if self._failed_at is not None:
            self._mend()
        with self._slots:
            for attempt in range(_TRIES):
                pooled = None
                try:
                    pooled = self._take()
                    answer = call(pooled)
                except pkcs11.PKCS11Error as exc:
                    self._forget(pooled.generation if pooled is not None else self._generation)
                    if pooled is not None:
                        _close(pooled.session)
                    if attempt + 1 == _TRIES:
                        if self._failed_at is None:
                            self._failed_at = time.monotonic()
                        raise WalletError(f"{self._what} failed: {_name(exc)}") from exc
                else:
                    self._failed_at = None
                    self._give_back(pooled)
                    return answer
        raise AssertionError("the loop above ends by itself")

    def close(self) -> None:
        """Close the sessions and log out."""
        self._forget(self._generation)

    def _found(self) -> pkcs11.Token:
        try:
            token: pkcs11.Token = load(self._module).get_token(token_label=self._label)
        except pkcs11.PKCS11Error as exc:
            raise WalletError(f"{self._module}: no token labelled {self._label!r} ({_name(exc)})") from None
        return token

    def _mend(self) -> None:
        """Begin anew with the library, alone in it, if that is due; raises `WalletError` while the token is gone."""
        with self._mending:
            since = self._failed_at
            if since is None or time.monotonic() - since < _MEND_AFTER:
                return
            for _ in range(self._size):
                self._slots.acquire()
            try:
                self._forget(self._generation)
                self._failed_at = time.monotonic()
                begin_anew(self._module)
                self._token = self._found()
            finally:
                for _ in range(self._size):
                    self._slots.release()

    def _give_back(self, pooled: PooledSession) -> None:
        """Keep a session for the next; one from before all were forgotten is not logged in any more."""
        with self._lock:
            if pooled.generation == self._generation:
                self._free.append(pooled)
                return
        _close(pooled.session)

    def _take(self) -> PooledSession:
        with self._lock:
            if self._free:
                return self._free.pop()
            if self._refused is not None:
                raise self._refused
            if self._login is None:
                try:
                    self._login = self._log_in()
                except WrongPassphrase as exc:
                    self._refused = exc
                    raise
            return PooledSession(self._token.open(rw=True), self._generation)

    def _log_in(self) -> pkcs11.Session:
        try:
            return self._token.open(rw=True, user_pin=self._pin)
        except pkcs11.UserAlreadyLoggedIn:
            return self._token.open(rw=True)  # another wallet of this process has
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
            raise WrongPassphrase(f"the PIN does not open {self._what}") from None
        except pkcs11.PinLocked:
            raise WrongPassphrase(f"{self._what} is locked after too many wrong PINs") from None

    def _forget(self, generation: int) -> None:
        """Drop all sessions, unless that has been done since `generation`: of many that fail at once one does it."""
        with self._lock:
            if generation != self._generation:
                return
            self._generation += 1
            sessions, self._free = [pooled.session for pooled in self._free], []
            if self._login is not None:
                sessions.append(self._login)
                self._login = None
        for session in sessions:
            _close(session)


class TokenKey(ec.EllipticCurvePrivateKey):
    """A private key in a token, in the shape of every other; signs with low S, and can do nothing else."""

    def __init__(self, pool: Pool, key_id: bytes, public: ec.EllipticCurvePublicKey) -> None:
        self._pool = pool
        self._id = key_id
        self._public = public

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256 or P-384."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm, *_: Any) -> bytes:
        """DER, S at most half the curve's order; `data` is hashed here unless the algorithm says `Prehashed`."""
        digest = _digest(bytes(data), signature_algorithm.algorithm)
        raw = self._pool.run(lambda pooled: pooled.key(self._id).sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
        half = len(raw) // 2
        r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        order = self.curve.group_order
        return encode_dss_signature(r, min(s, order - s))

    def destroy(self) -> None:
        """Destroy the key, and its public half, in the token."""

        def run(pooled: PooledSession) -> None:
            for found in list(pooled.session.get_objects({pkcs11.Attribute.ID: self._id})):
                found.destroy()

        self._pool.run(run)

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """Not offered."""
        self._never()

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """Not offered."""
        self._never()

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,  # noqa: A002 - cryptography's name
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> bytes:
        """Not offered."""
        self._never()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def _never(self) -> NoReturn:
        raise NotImplementedError("the key never leaves its token")


class HsmWallet(Wallet):
    """Identities whose keys are in a token. Make it with `create` or `open`."""

    kind = "hsm"

    def __init__(self, folder: Path, pool: Pool, *, disk: Disk | None = None) -> None:
        super().__init__(folder, disk=disk)
        self._pool = pool

    @classmethod
    def create(cls, folder: Path, pin: bytes, *, module: Path, token: str, disk: Disk | None = None) -> Self:
        """A new wallet on a token that has been initialised and has a user PIN; raises `WalletError`."""
        wallet = cls(folder, Pool(module, token, pin.decode()), disk=disk)
        write_mark(folder, wallet.disk, cls.kind, module=str(module), token=token)
        return wallet

    @classmethod
    def open(cls, folder: Path, pin: bytes, *, module: Path | None = None, disk: Disk | None = None) -> Self:
        """An existing wallet; `module` where the library lies elsewhere than when it was made. Raises `WalletError`."""
        mark = read_mark(folder)
        if mark is None or mark["kind"] != cls.kind:
            raise WalletError(f"{folder} is not a wallet with keys in a token")
        path = module if module is not None else Path(str(mark.get("module")))
        return cls(folder, Pool(path, str(mark.get("token")), pin.decode()), disk=disk)

    def new_key(self, algorithm: str) -> PrivateKey:
        """A key made in the token, P-256 or P-384; it cannot be extracted."""
        curves: dict[str, tuple[str, ec.EllipticCurve]] = {
            "p256": ("secp256r1", ec.SECP256R1()),
            "p384": ("secp384r1", ec.SECP384R1()),
        }
        if algorithm not in curves:
            raise IdentityError(f"a token's key is p256 or p384, not {algorithm}")
        name, curve = curves[algorithm]

        def run(pooled: PooledSession) -> tuple[bytes, ec.EllipticCurvePublicKey]:
            parameters = pooled.session.create_domain_parameters(
                pkcs11.KeyType.EC,
                {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(name)},
                local=True,
            )
            public, private = parameters.generate_keypair(
                id=os.urandom(20),
                label=_LABEL,
                store=True,
                private_template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
            )
            loaded = serialization.load_der_public_key(encode_ec_public_key(public))
            assert isinstance(loaded, ec.EllipticCurvePublicKey)
            key_id = _key_id(loaded)
            # A crash before this leaves a key that no certificate names, and that nothing will use.
            public[pkcs11.Attribute.ID] = key_id
            private[pkcs11.Attribute.ID] = key_id
            return key_id, loaded

        key_id, public = self._pool.run(run)
        assert public.curve.name == curve.name
        return TokenKey(self._pool, key_id, public)

    def remove(self, label: str) -> None:
        """Forget an identity and destroy its key in the token."""
        key = self.get(label).key
        super().remove(label)
        assert isinstance(key, TokenKey)
        key.destroy()

    def close(self) -> None:
        """Close the sessions; keys that were handed out open them again when they are used."""
        self._pool.close()

    def pack(self, label: str, credential: Credential) -> bytes:
        """The certificates; raises `IdentityError` for a key that is not in a token."""
        if not isinstance(credential.key, TokenKey):
            raise IdentityError("the private key is not in the token; enrol to have one made there")
        return bundle.encode(credential, with_key=False)

    def unpack(self, label: str, content: bytes) -> Credential:
        """The identity, its key looked up in the token; raises `NoSuchIdentity` where that is not there."""
        what = str(self.path(label))
        own = load_certificates(content, what)[0]
        public = own.public_key()
        algorithm_of(public)
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise IdentityError(f"{what}: the certificate's key is of a kind that this wallet does not keep")
        key_id = _key_id(public)
        key = TokenKey(self._pool, key_id, public)

        def known(pooled: PooledSession) -> bool:
            wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.ID: key_id}
            return any(True for _ in list(pooled.session.get_objects(wanted)))

        if not self._pool.run(known):
            raise NoSuchIdentity(f"{what}: the token has no key for this certificate; is it the right token?")
        return bundle.parse(content, what, key)


def _digest(data: bytes, algorithm: Any) -> bytes:
    if isinstance(algorithm, Prehashed):
        return data
    hasher = hashes.Hash(algorithm)
    hasher.update(data)
    return hasher.finalize()


def _key_id(public: ec.EllipticCurvePublicKey) -> bytes:
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return hashlib.sha256(point).digest()[:20]


def _close(session: pkcs11.Session) -> None:
    # It is thrown away because it failed, or because all are: that it cannot be closed either changes nothing.
    with suppress(pkcs11.PKCS11Error):
        session.close()


def _name(error: Exception) -> str:
    return type(error).__name__ + (f": {error}" if str(error) else "")
