# SPDX-License-Identifier: Apache-2.0
"""Fetching data under a grant: an attempt on one's own gateway, the bytes from the owner's, and a comparison.

`cryptography` has to be installed beside the SDK; it is imported by the call that needs it.
"""

import json
import os
import tempfile
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pedigree.bundles import Bundle, most_bytes
from pedigree.errors import Conflict, Disagreement, InvalidBundle, InvalidInput, Refused, Unavailable, Unreachable
from pedigree.fields import escaped
from pedigree.operations import Operations
from pedigree.owners import Offer, OwnerGateway, refuse_without_room
from pedigree.saving import replacing
from pedigree.unfinished import Unfinished
from pedigree.uploads import Progress
from pedigree.verifying import verify_copy

if TYPE_CHECKING:
    import httpx

    from pedigree.sealing.fetching import RecipientKey

_BEGUN: Final = 3
"""How often a delivery is begun under one attempt where others take its place."""
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
        bundle: Path | str | None = None,
        progress: Watcher | None = None,
        transport: "httpx.BaseTransport | None" = None,
        patience: float = 60.0,
    ) -> Fetched:
        """Make an attempt under a grant, fetch what it allows from the owner's gateway, and write it to a file.

        The file is there when all of it came, opened, has the digest that the owner says and holds the very records of
        the version, or of the selection, that the grant is of, on the ledger as this gateway has it; what was at `path`
        before is replaced then. Where the
        connection breaks, or the owner's gateway is started anew, it goes on from where it was for as long as the
        attempt is fresh. Where the program ends before that, or nothing answers for too long, the same call goes on,
        under the same attempt while that is fresh: what it needs is in a hidden folder beside the file, which only its
        owner may enter. Raises `Refused` with the code `access-denied` where the ledger denies the attempt, and
        `Disagreement` where what the owner sends is not the data that the grant is of.

        Args:
            source: the address of the owner's gateway, which is not trusted.
            key: a file with the private key that the grant names, in PEM; without one your gateway signs, and the data
                key goes to a key that is made for this call.
            bundle: where to keep what the copy was compared by, for `verify_copy` and `Run.use`; it is there before the
                file is.
            transport: of the connection to the owner, for tests.
            patience: seconds without any progress after which it is given up.
        """
        path = Path(path)
        if bundle is not None and Path(bundle).absolute() == path.absolute():
            raise InvalidInput("the data and its bundle are two files: name another one for the bundle", field="bundle")
        asked = {"grant": grant, "source": source, "key": None if key is None else str(key.absolute())}
        terms: Any = self.access_grant(grant)["record"]
        own = named_holder(terms, key)
        with Unfinished.of(path) as kept:
            owner = OwnerGateway(source, transport, patience=patience, security=self._transport.security)
            paths = path, None if bundle is None else Path(bundle)
            fetch = _Fetch(self, owner, kept, terms, own, paths, progress or (lambda _: None))
            try:
                return fetch.go_on(asked) if kept.matches(asked) else fetch.begin(asked)
            except (Unavailable, Unreachable, OSError, KeyboardInterrupt):
                raise  # the same call goes on with what is kept
            except BaseException:
                kept.finished()
                raise
            finally:
                owner.close()


class _Fetch:
    """One fetch, of whose steps each is kept before the next."""

    def __init__(
        self,
        calls: DeliveryCalls,
        owner: OwnerGateway,
        kept: Unfinished,
        terms: Any,
        own: "RecipientKey | None",
        paths: tuple[Path, Path | None],
        watcher: Watcher,
    ) -> None:
        """Assign.

        Args:
            paths: the file, and where to keep the bundle.
        """
        self._calls = calls
        self._owner = owner
        self._kept = kept
        self._terms = terms
        self._own = own
        self._path, self._bundle = paths
        self._watcher = watcher

    def begin(self, asked: Mapping[str, Any]) -> Fetched:
        """Begin with an attempt of its own."""
        import uuid

        self._kept.begin({**asked, "idempotency_key": str(uuid.uuid4())})
        return self._fetched()

    def go_on(self, asked: Mapping[str, Any]) -> Fetched:
        """Go on with what an earlier call left; with an attempt of its own where that cannot be used any more."""
        try:
            return self._fetched()
        except Disagreement:
            # A power cut may have torn what was kept of it; the owner is not to blame for that.
            with self._kept.sealed() as sealed:
                sealed.truncate(0)
            return self._fetched()
        except Refused:
            return self.begin(asked)

    def _fetched(self) -> Fetched:
        attempt = self._kept.get("attempt") or self._attempted()
        holder = self._holder()
        for _ in range(_BEGUN):
            offer = self._offer(attempt, holder)
            try:
                with self._kept.sealed() as sealed:
                    refuse_without_room(self._kept.folder, offer, sealed.seek(0, os.SEEK_END))
                    self._owner.read(offer, sealed, _watch(self._watcher, offer.sealed_size))
                    return self._opened(offer, attempt, holder, sealed)
            except Conflict as error:
                # Somebody who fetches under the same attempt took the place of this delivery.
                if error.code != "delivery-replaced":
                    raise
                replaced = error
                self._kept.keep(offer=None)
        raise replaced

    def _attempted(self) -> Any:
        """The attempt; under its key it is made once, however often this is asked for."""
        outcome = self._calls.attempt_access(
            grant=self._kept.get("grant"), artifact=self._terms["artifact"], action="download",
            purpose=self._terms["purpose"], idempotency_key=self._kept.get("idempotency_key"),
        )  # fmt: skip
        attempt: Any = outcome.record
        if attempt["decision"] != "allowed":
            raise Refused(
                f"the ledger denies the attempt {attempt['attempt']}: {attempt.get('reason')}",
                code="access-denied", facts={"reason": attempt.get("reason", "")},
            )  # fmt: skip
        self._kept.keep(attempt=attempt)
        return attempt

    def _holder(self) -> "RecipientKey":
        from pedigree.sealing.fetching import load_holder, new_holder, private_bytes

        if self._own is not None:
            return self._own
        made: str | None = self._kept.get("holder")
        if made is not None:
            return load_holder(made.encode())
        holder = new_holder()
        self._kept.keep(holder=private_bytes(holder).decode())
        return holder

    def _offer(self, attempt: Any, holder: "RecipientKey") -> Offer:
        """What the owner offers, asked for where no earlier call did."""
        offered = self._kept.get("offer")
        if offered is not None:
            return Offer(**offered)
        offer = self._owner.begin(statement_of(self._calls, attempt, holder, signs=self._own is not None), attempt)
        before = self._kept.get("blob")
        if before != offer.blob:
            with self._kept.sealed() as sealed:
                sealed.truncate(0)
        self._kept.keep(offer=offer.as_json(), blob=offer.blob)
        return offer

    def _opened(self, offer: Offer, attempt: Any, holder: "RecipientKey", sealed: BinaryIO) -> Fetched:
        data_key = data_key_of(offer, attempt, holder)
        folder = self._kept.folder
        with replacing(self._path, folder) as file, tempfile.TemporaryFile(dir=folder) as bundle:
            _open(sealed, data_key, file, offer.size)
            file.flush()
            digest = _digest(file)
            if digest != offer.digest:
                raise Disagreement(f"what came has the digest {digest}, and the owner says {offer.digest}")
            self._compare_with_ledger(attempt["artifact"], file, bundle, data_key, offer)
        self._kept.finished()
        return Fetched(
            self._path, attempt["attempt"], attempt["artifact"], offer.root, digest, offer.size, offer.media_type
        )

    def _compare_with_ledger(
        self, artifact: str, file: BinaryIO, sealed: BinaryIO, data_key: bytes, offer: Offer
    ) -> None:
        """Compare what came with the version or selection on the ledger, by the salts that come with it."""
        kind, dataset, number, *part = artifact.split(":")
        version: Any = self._calls.dataset_version(dataset, int(number))
        selection: Any = self._calls.selection(dataset, int(number), part[0]) if kind == "selection" else None
        size = int((selection or version)["record"]["size"])
        self._owner.read_bundle(offer, sealed, 2 * most_bytes(size))
        with ExitStack() as stack:
            opened: Any
            if self._bundle is None:
                opened = stack.enter_context(tempfile.NamedTemporaryFile(dir=self._kept.folder))
            else:
                opened = stack.enter_context(replacing(self._bundle))
            _open(sealed, _bundle_key(sealed, data_key), opened)
            opened.flush()
            try:
                with Bundle(opened.name) as bundle:
                    if bundle.head.artifact != artifact:
                        raise InvalidBundle(f"it is of {escaped(bundle.head.artifact)}")
                    verify_copy(
                        Path(str(file.name)), bundle, version=version, selection=selection,
                        media_type=offer.media_type, check=True,
                    )  # fmt: skip
            except InvalidBundle as exc:
                why = exc.detail.replace(opened.name, "the bundle")
                raise Disagreement(f"what came cannot be compared with {artifact}: {why}") from None


def statement_of(calls: Operations, attempt: Any, holder: "RecipientKey", *, signs: bool) -> dict[str, Any]:
    """A statement that the grantee asks, signed by the holder's own key or by this organisation's gateway."""
    import secrets
    import time

    from pedigree.sealing.fetching import Statement, public_bytes, sign

    public = public_bytes(holder)
    if not signs:
        return dict(calls.sign_fetch(attempt["attempt"], recipient_key=b64encode(public).decode()))
    channel = str(calls.ledger()["channel"])
    statement = Statement(
        channel, attempt["attempt"], attempt["owner"], int(time.time() * 1_000), secrets.token_hex(16), public
    )
    signed: dict[str, Any] = json.loads(sign(statement, holder).encode())
    return signed


def named_holder(terms: Any, key: Path | None) -> "RecipientKey | None":
    """The private key that the grant names; None where it names none."""
    named = terms.get("recipient_key_digest")
    if key is None:
        if named is not None:
            raise InvalidInput("the grant is for the holder of a key: name the file of that private key", field="key")
        return None
    from pedigree.sealing.errors import SealError
    from pedigree.sealing.fetching import key_digest, load_holder, public_bytes

    try:
        holder = load_holder(key.read_bytes())
    except SealError as exc:
        raise InvalidInput(f"{key}: {exc}", field="key") from None
    if key_digest(public_bytes(holder)) != named:
        raise InvalidInput(f"{key} is not the key that the grant names", field="key")
    return holder


def data_key_of(offer: Offer, attempt: Any, holder: "RecipientKey") -> bytes:
    """The data key that an offer releases; raises `Disagreement`."""
    from pedigree.sealing.errors import SealError
    from pedigree.sealing.release import Purpose, receive

    blob = bytes.fromhex(offer.blob)
    purpose = Purpose(offer.channel, attempt["grant"], attempt["attempt"], offer.root, blob)
    try:
        return receive(offer.released, holder, purpose)
    except (SealError, ValueError) as exc:
        raise Disagreement(f"the owner's answer is not to be used: {exc}") from None


def _bundle_key(sealed: BinaryIO, data_key: bytes) -> bytes:
    from pedigree.sealing.blobs import HEADER, Header, derived_key
    from pedigree.sealing.errors import SealError

    sealed.seek(0)
    try:
        key: bytes = derived_key(data_key, Header.parse(sealed.read(HEADER)).blob_id)
    except SealError as exc:
        raise Disagreement(f"what came is not what the owner sealed: {exc}") from None
    return key


def _open(sealed: BinaryIO, key: bytes, into: Any, size: int | None = None) -> None:
    """Open a sealed blob into a file; raises `Disagreement` that names the chunk which is not what was sealed."""
    from pedigree.sealing.errors import SealError
    from pedigree.sealing.streams import Blob

    try:
        blob = Blob(key, _File(sealed))
        if size not in (None, blob.size):
            raise Disagreement(f"what came holds {blob.size} bytes, and the owner says {size}")
        for piece in blob.read():
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
