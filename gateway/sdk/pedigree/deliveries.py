# SPDX-License-Identifier: Apache-2.0
"""Fetching data under a grant: an attempt on one's own gateway, the bytes from the owner's, and a comparison.

`cryptography` has to be installed beside the SDK; it is imported by the call that needs it.
"""

import os
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pedigree.bundles import Bundle
from pedigree.connections import Connections
from pedigree.errors import Disagreement, InvalidInput, Refused
from pedigree.operations import Operations
from pedigree.saving import replacing
from pedigree.transport import Transport
from pedigree.uploads import Progress
from pedigree.verifying import verify_copy

if TYPE_CHECKING:
    import httpx

    from pedigree.sealing.fetching import RecipientKey

_TIMEOUT: Final = 60.0
Watcher = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched, and compared with the ledger."""

    path: Path
    attempt: str
    """The id of the attempt's transaction, which the ledger keeps."""
    artifact: str
    root: str
    digest: str
    """The SHA-256 of the file."""
    size: int
    media_type: str


class DeliveryCalls(Operations):
    """Calls about data that others give access to."""

    def fetch(
        self,
        grant: str,
        source: str,
        path: Path | str,
        *,
        key: Path | None = None,
        progress: Watcher | None = None,
        transport: "httpx.BaseTransport | None" = None,
    ) -> Fetched:
        """Make an attempt under a grant, fetch what it allows from the owner's gateway, and write it to a file.

        The file is there when all of it came, opened, has the digest that the owner says and holds the very records of
        the version on the ledger, as this gateway has it; what was at `path` before is replaced then. Where the
        connection breaks, or the owner's gateway is started anew, it goes on from where it was for as long as the
        attempt is fresh. Raises `Refused` with the code `access-denied` where the ledger denies the attempt, and
        `Disagreement` where the records are not those of the version.

        Args:
            source: the address of the owner's gateway.
            key: a file with the private key that the grant names, in PEM; without one your gateway signs, and the data
                key goes to a key that is made for this call.
            transport: of the connection to the owner, for tests.
        """
        terms: Any = self.access_grant(grant)["record"]
        holder = _holder(terms, key)
        outcome = self.attempt_access(
            grant=grant, artifact=terms["artifact"], action="download", purpose=terms["purpose"]
        )
        attempt: Any = outcome.record
        if attempt["decision"] != "allowed":
            raise Refused(
                f"the ledger denies the attempt {attempt['attempt']}: {attempt.get('reason')}",
                code="access-denied", facts={"reason": attempt.get("reason", "")},
            )  # fmt: skip
        owner = Transport(Connections(source, "", transport), timeout=_TIMEOUT)
        try:
            envelope = self._envelope(attempt, holder, signs=key is not None)
            return self._received(owner, envelope, attempt, holder, Path(path), progress or (lambda _: None))
        finally:
            owner.close()

    def _envelope(self, attempt: Any, holder: "RecipientKey", *, signs: bool) -> dict[str, Any]:
        """A statement that the grantee asks, signed by the holder's own key or by this organisation's gateway."""
        import json
        import secrets
        import time

        from pedigree.sealing.fetching import Statement, public_bytes, sign

        public = public_bytes(holder)
        if not signs:
            return dict(self.sign_fetch(attempt["attempt"], recipient_key=b64encode(public).decode()))
        channel = str(self.ledger()["channel"])
        statement = Statement(
            channel, attempt["attempt"], attempt["owner"], int(time.time() * 1_000), secrets.token_hex(16), public
        )
        signed: dict[str, Any] = json.loads(sign(statement, holder).encode())
        return signed

    def _received(
        self,
        owner: Transport,
        envelope: dict[str, Any],
        attempt: Any,
        holder: "RecipientKey",
        path: Path,
        watcher: Watcher,
    ) -> Fetched:
        said = owner.post("/v1/data", envelope)
        data_key = _data_key(said, attempt, holder)
        total = int(said["sealed_size"])
        with _beside(path) as sealed, _beside(path) as bundle, replacing(path) as file:
            owner.fetch(f"/v1/data/{said['delivery']}", sealed, _watch(watcher, total), resume=True)
            _open(sealed, data_key, file)
            file.flush()
            digest = _digest(file)
            if digest != said["digest"]:
                raise Disagreement(f"what came has the digest {digest}, and the owner says {said['digest']}")
            owner.fetch(f"/v1/data/{said['delivery']}/bundle", bundle, lambda _: None)
            self._compare_with_ledger(attempt["artifact"], file, bundle, data_key, said["media_type"])
        return Fetched(
            path, attempt["attempt"], attempt["artifact"], said["root"], digest, int(said["size"]), said["media_type"]
        )

    def _compare_with_ledger(
        self, artifact: str, file: BinaryIO, sealed: BinaryIO, data_key: bytes, media_type: str
    ) -> None:
        """Compare what came with the version on the ledger, by the salts that came with it."""
        _, dataset, number = artifact.split(":")
        version = self.dataset_version(dataset, int(number))
        with tempfile.NamedTemporaryFile(suffix=".pedigree-bundle") as opened:
            _open(sealed, _bundle_key(sealed, data_key), opened.file)
            opened.flush()
            with Bundle(opened.name) as bundle:
                verify_copy(Path(str(file.name)), bundle, version=version, media_type=media_type, check=True)


def _holder(terms: Any, key: Path | None) -> "RecipientKey":
    """The private key that the data key goes to: the one that the grant names, or one that is made here."""
    from pedigree.sealing.errors import SealError
    from pedigree.sealing.fetching import key_digest, load_holder, new_holder, public_bytes

    named = terms.get("recipient_key_digest")
    if key is None:
        if named is not None:
            raise InvalidInput("the grant is for the holder of a key: name the file of that private key", field="key")
        return new_holder()
    try:
        holder = load_holder(key.read_bytes())
    except SealError as exc:
        raise InvalidInput(f"{key}: {exc}", field="key") from None
    if key_digest(public_bytes(holder)) != named:
        raise InvalidInput(f"{key} is not the key that the grant names", field="key")
    return holder


def _data_key(said: Any, attempt: Any, holder: "RecipientKey") -> bytes:
    from pedigree.sealing.errors import SealError
    from pedigree.sealing.release import Purpose, receive

    purpose = Purpose(said["channel"], attempt["grant"], attempt["attempt"], said["root"], bytes.fromhex(said["blob"]))
    try:
        return receive(b64decode(said["key"]), holder, purpose)
    except (SealError, ValueError) as exc:
        raise Disagreement(f"the owner's answer is not to be used: {exc}") from None


def _bundle_key(sealed: BinaryIO, data_key: bytes) -> bytes:
    from pedigree.sealing.blobs import HEADER, Header, derived_key

    sealed.seek(0)
    key: bytes = derived_key(data_key, Header.parse(sealed.read(HEADER)).blob_id)
    return key


def _open(sealed: BinaryIO, key: bytes, into: Any) -> None:
    """Open a sealed blob into a file; raises `Disagreement` that names the chunk which is not what was sealed."""
    from pedigree.sealing.errors import SealError
    from pedigree.sealing.streams import Blob

    try:
        for piece in Blob(key, _File(sealed)).read():
            into.write(piece)
    except SealError as exc:
        raise Disagreement(f"what came is not what the owner sealed: {exc}") from None


class _File:
    """A sealed blob in a file."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = file.seek(0, os.SEEK_END)
        self._file = file

    def read(self, start: int, length: int) -> bytes:
        self._file.seek(start)
        return self._file.read(length)


def _digest(file: BinaryIO) -> str:
    found = sha256()
    file.seek(0)
    while piece := file.read(1 << 20):
        found.update(piece)
    return found.hexdigest()


def _watch(watcher: Watcher, total: int) -> Callable[[int], None]:
    return lambda done: watcher(Progress("receiving", done, total))


@contextmanager
def _beside(path: Path) -> Iterator[BinaryIO]:
    """A temporary file on the disk that a path is on, which is gone whatever happens."""
    with tempfile.TemporaryFile(dir=path.absolute().parent) as file:
        yield file
