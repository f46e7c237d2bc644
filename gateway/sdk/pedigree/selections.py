# SPDX-License-Identifier: Apache-2.0
"""Selections: the owner's gateway chooses the records, or is given a root that was computed elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pedigree.bundles import Bundle
from pedigree.calls import segment, version_of
from pedigree.documents import InputRole, LeftOut, MapState, Publication, Selection
from pedigree.errors import InvalidBundle, InvalidInput
from pedigree.fields import escaped
from pedigree.operations import Operations
from pedigree.recorded import Recorded
from pedigree.saving import replacing
from pedigree.uploads import Progress, Upload

_LINES = "text/plain"

Ids = Sequence[str] | Path | str | bytes
"""Record ids; or a file of them, or its bytes: one id a line (.txt), CSV or JSON Lines."""
SplitBy = Literal["record", "subject"]
Watcher = Callable[[Progress], None]


class SelectionCalls(Operations):
    """Calls about selections."""

    def commit_selection(
        self,
        version: str,
        selection: str,
        *,
        root: str,
        size: int,
        parent: str | None = None,
        purpose: str | None = None,
        role: InputRole | None = None,
        left_out: Sequence[LeftOut] | None = None,
        note: str | None = None,
        consent_map: MapState | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Selection]:
        """Commit to a selection whose root and size were computed elsewhere; no gateway can prove what is in it."""
        dataset, number = version_of(version, "dataset-version")
        fields = {
            "selection": selection, "root": root, "size": size, "parent": parent, "purpose": purpose, "role": role,
            "left_out": left_out, "note": note, "consent_map": consent_map,
        }  # fmt: skip
        return self._record(_path(dataset, number), fields, idempotency_key, endorsing_organisations, reads=True)

    def select_records(
        self,
        dataset: str,
        number: int,
        selection: str,
        source: Ids | None = None,
        *,
        purpose: str | None = None,
        role: InputRole | None = None,
        split: Mapping[InputRole, str] | str | None = None,
        seed: str | int | None = None,
        split_by: SplitBy | None = None,
        parent: str | None = None,
        note: str | None = None,
        media_type: str | None = None,
        id_field: str | None = None,
        delimiter: str | None = None,
        progress: Watcher | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Selection]:
        """Commit to the records of a version that pass everything that is said here; its owner's gateway chooses them.

        What is left out is counted by reasons, which the ledger keeps. The gateway works by itself and is asked how far
        it is; `progress` is given that.

        Args:
            source: only the records with these ids.
            purpose: only records whose consent permits it, by its name (`research`) or IRI: as the consent map in force
                says, where the data rests on consent, and else as it was collected.
            role: which part of a split it is.
            split: only those in the part `role` of this split: `{"train": "0.8", "test": "0.2"}`, or the same as text.
            seed: of the split; with the record's id it says in which part a record is, in any version.
            split_by: `subject` keeps all records of a data subject in one part; each has its own by default.
            parent: reference of a selection from the same version; only records of that one.
            note: what the ledger is to keep about it.
            media_type: of a list of ids: `text/plain`, `text/csv` or `application/jsonl`; by default, what the file's
                name says, and `text/plain` of bytes.
            id_field: column or member that holds the ids; by default, what holds them in the version.
            delimiter: what separates fields in CSV; a comma by default.
        """
        query = {
            "selection": selection, "purpose": purpose, "role": role, "split": _shares(split),
            "seed": None if seed is None else str(seed), "split_by": split_by, "parent": parent, "note": note,
            "id_field": id_field, "delimiter": delimiter,
        }  # fmt: skip
        height = self._transport.height
        return self._recorded(
            _path(dataset, number),
            idempotency_key,
            upload=None if source is None else _upload(source, media_type, progress),
            watcher=progress,
            params={name: value for name, value in query.items() if value is not None},
            headers={"Prefer": "respond-async", **({"Min-Ledger-Height": str(height)} if height else {})},
        )

    def split_records(
        self,
        dataset: str,
        number: int,
        split: Mapping[InputRole, str] | str,
        *,
        seed: str | int,
        by: SplitBy | None = None,
        prefix: str = "",
        purpose: str | None = None,
        parent: str | None = None,
        note: str | None = None,
        progress: Watcher | None = None,
        idempotency_key: str | None = None,
    ) -> Mapping[InputRole, Recorded[Selection]]:
        """Commit to every part of a split of a version, each as a selection that is called as its role, after `prefix`.

        With `by="subject"` all records of a data subject are in one part, so that nobody is in training and test both.
        Each part is a transaction. A repetition with the same `idempotency_key` goes on where an earlier call ended.
        """
        shares = _shares(split) or ""
        named = {part.partition("=")[0].strip() for part in shares.split(",")}
        roles = [role for role in _ROLES if role in named]
        if len(roles) < len(named):
            raise InvalidInput("a split names shares, such as train=0.8,validation=0.1,test=0.1", field="split")
        return {
            role: self.select_records(
                dataset,
                number,
                f"{prefix}{role}",
                purpose=purpose,
                role=role,
                split=shares,
                seed=seed,
                split_by=by,
                parent=parent,
                note=note,
                progress=progress,
                idempotency_key=None if idempotency_key is None else f"{idempotency_key}-{role}",
            )
            for role in roles
        }

    def publish_selection(
        self,
        dataset: str,
        number: int,
        selection: str,
        source: Path | str | bytes | None = None,
        *,
        media_type: str | None = None,
        id_field: str | None = None,
        delimiter: str | None = None,
        progress: Watcher | None = None,
    ) -> Publication:
        """Let your gateway seal the records of a selection, and no others, for those whom you give access to it.

        Without a `source` the gateway writes the file itself, out of the records that it keeps: the lines that were
        committed, of CSV under the version's header. A `source` must hold the records of the selection, all of them, no
        others and in their order; its bytes are what recipients get. Of a version of Parquet one is needed. Publishing
        again replaces what was published before. The other arguments are those of `verify_dataset`.
        """
        options = {"id_field": id_field, "delimiter": delimiter}
        query = {name: value for name, value in options.items() if value is not None}
        upload = None if source is None else Upload.of(source, media_type, progress)
        publication: Publication = self._send(f"{_path(dataset, number)}/{segment(selection)}/content", upload, query)
        return publication

    def save_selection_bundle(
        self, dataset: str, number: int, selection: str, path: Path | str, *, progress: Watcher | None = None
    ) -> Path:
        """Write what checks a copy of a selection without its owner to a file; only its owner's gateway has it.

        The file holds the salts and ids of the selection's records and no content, and nothing of any other record of
        the version. It is as confidential as those records. It is there when all of it came, was compared with the
        ledger and is on the disk; what was at `path` before is replaced then.
        """
        watcher = progress or (lambda _: None)
        version, part = self.dataset_version(dataset, number), self.selection(dataset, number, selection)
        path = Path(path)
        with replacing(path) as file:
            self._transport.fetch(
                f"{_path(dataset, number)}/{segment(selection)}/bundle",
                file,
                lambda done: watcher(Progress("receiving", done)),
            )
            file.flush()
            with Bundle(str(file.name)) as bundle:
                if bundle.head.part != selection:
                    raise InvalidBundle(f"what came is the bundle of {escaped(bundle.head.artifact)}")
                bundle.check(
                    version,
                    lambda done, read: watcher(Progress("checking", done, bundle.size, read)),
                    selection=part,
                )
        return path


_ROLES: tuple[InputRole, ...] = ("train", "validation", "test")


def _path(dataset: str, number: int) -> str:
    return f"/v1/datasets/{segment(dataset)}/versions/{number}/selections"


def _shares(split: Mapping[InputRole, str] | str | None) -> str | None:
    if split is None or isinstance(split, str):
        return split
    return ",".join(f"{role}={share}" for role, share in split.items())


def _upload(source: Ids, media_type: str | None, progress: Watcher | None) -> Upload:
    if isinstance(source, bytes):
        return Upload.of(source, media_type or _LINES, progress)
    if isinstance(source, Path | str):
        known = _LINES if Path(source).suffix.lower() == ".txt" else None
        return Upload.of(source, media_type or known, progress)
    for each in source:
        if "\n" in each or "\r" in each:
            raise InvalidInput(f"{each!r} cannot be the id of a record: it holds a line end", field="source")
    return Upload.of("".join(f"{each}\n" for each in source).encode(), _LINES, progress)
