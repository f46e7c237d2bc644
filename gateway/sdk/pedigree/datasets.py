# SPDX-License-Identifier: Apache-2.0
"""Records of data sets: committed to, proven and compared. Files of them are sent in pieces."""

from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

from pedigree.bundles import Bundle
from pedigree.calls import refuse_difference, segment
from pedigree.comparisons import CopyComparison
from pedigree.documents import (
    Activity,
    Change,
    Consent,
    DatasetComparison,
    DatasetVersion,
    Derivation,
    LeafSchema,
    Publication,
    SelectionEvidence,
)
from pedigree.documents import Evidence as EvidenceDocument
from pedigree.evidence import Evidence
from pedigree.operations import Operations
from pedigree.proofs import Verdict, verify_record
from pedigree.recorded import Recorded
from pedigree.registered import FIRST_OWN
from pedigree.saving import replacing
from pedigree.uploads import Progress, Upload
from pedigree.verifying import verify_copy


class DatasetCalls(Operations):
    """Calls about the records of data sets."""

    def commit_records(
        self,
        dataset: str,
        source: Path | str | bytes,
        *,
        media_type: str | None = None,
        id_field: str | None = None,
        delimiter: str | None = None,
        consent: Consent = "ConsentUnknown",
        purposes: Sequence[str] = (),
        subject_field: str | None = None,
        consent_field: str | None = None,
        purposes_field: str | None = None,
        indicated_field: str | None = None,
        parents: Sequence[str] = (),
        activity: Activity | None = None,
        grants: Sequence[str] = (),
        progress: Callable[[Progress], None] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[DatasetVersion]:
        """Commit to every record of a CSV, JSON Lines or Parquet file as the next version; they stay with the owner.

        The file is sent in pieces. The gateway works on a large one by itself and is asked how far it is; `progress`
        is given that. The same file with the same `idempotency_key` continues what an earlier call began.

        Args:
            source: the file's path, or its bytes; or a folder, each of whose files is a record: path and SHA-256.
            media_type: `text/csv`, `application/jsonl` or `application/vnd.apache.parquet`; by default, what the file's
                name says, and CSV of bytes.
            id_field: column or member that holds each record's id; without it records are numbered from 1. Of a folder
                it is `path`.
            delimiter: what separates fields in CSV; a comma by default.
            consent: of every record.
            purposes: that the consent covers; your organisation's own by title or IRI.
            subject_field: column or member that says whose record it is, by your own id of the data subject. The id
                stays with your gateway; the ledger never has more than a random reference.
            consent_field: column or member that holds each record's consent state.
            purposes_field: column or member that holds the purposes that each consent covers.
            indicated_field: column or member that says when the subject indicated it.
            parents: the data set versions that the records were made from, by their references.
            activity: how they were made from them.
            grants: of those that are other organisations' data, such as `access-grant:visits-lab`.
        """
        if id_field is None and not isinstance(source, bytes) and Path(source).is_dir():
            id_field = "path"
        query = {
            "id_field": id_field, "delimiter": delimiter, "consent": consent, "purposes": ",".join(purposes) or None,
            "subject_field": subject_field, "consent_field": consent_field, "purposes_field": purposes_field,
            "indicated_field": indicated_field, "parents": ",".join(parents) or None, "activity": activity,
            "grants": ",".join(grants) or None,
        }  # fmt: skip
        return self._recorded(
            f"/v1/datasets/{segment(dataset)}/versions",
            idempotency_key,
            upload=Upload.of(source, media_type, progress),
            params={name: value for name, value in query.items() if value is not None},
        )

    def commit_version(
        self,
        dataset: str,
        *,
        root: str,
        size: int | None = None,
        number: int | None = None,
        leaf_schema: LeafSchema | None = None,
        change: Change | None = None,
        parent_root: str | None = None,
        consistency: Sequence[str] | None = None,
        header: str | None = None,
        card: str | None = None,
        derivation: Derivation | None = None,
        note: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[DatasetVersion]:
        """Commit to a version whose root and size were computed elsewhere."""
        fields = {
            "root": root, "size": size, "number": number, "leaf_schema": leaf_schema, "change": change,
            "parent_root": parent_root, "consistency": consistency, "header": header, "card": card,
            "derivation": derivation, "note": note,
        }  # fmt: skip
        path = f"/v1/datasets/{segment(dataset)}/versions"
        return self._record(path, fields, idempotency_key, endorsing_organisations)

    def verify_dataset(
        self,
        dataset: str,
        number: int,
        source: Path | str | bytes | None = None,
        *,
        selection: str | None = None,
        media_type: str | None = None,
        id_field: str | None = None,
        delimiter: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        check: bool = False,
    ) -> DatasetComparison:
        """Compare a copy of the records with the ledger; without one, the copy in the owner's own store.

        A copy is read as the committed file was; `id_field` and `delimiter` are for one that is written otherwise. The
        report says `verified`, and names the `columns` that differ and the records that were `changed`, `added`,
        `removed` or `moved`. With the name of a `selection` the copy should have its records and no others: those of
        the version that it has besides are `outside`. With `check` a difference is raised as `Disagreement`.
        """
        upload = None if source is None else Upload.of(source, media_type, progress)
        options = {"id_field": id_field, "delimiter": delimiter, "selection": selection}
        query = {name: value for name, value in options.items() if value is not None}
        path = f"/v1/datasets/{segment(dataset)}/versions/{number}/verify"
        report: DatasetComparison = self._send(path, upload, query)
        if check:
            refuse_difference(report, report.get("selection", f"dataset-version:{dataset}:{number}"))
        return report

    def publish_dataset(
        self,
        dataset: str,
        number: int,
        source: Path | str | bytes,
        *,
        media_type: str | None = None,
        id_field: str | None = None,
        delimiter: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Publication:
        """Let your gateway seal the bytes of a version and keep them, for those whom you give access.

        The file must hold the very records that were committed; its bytes are what recipients get. Publishing again
        replaces what was published before. The arguments are those of `verify_dataset`.
        """
        options = {"id_field": id_field, "delimiter": delimiter}
        query = {name: value for name, value in options.items() if value is not None}
        path = f"/v1/datasets/{segment(dataset)}/versions/{number}/content"
        publication: Publication = self._send(path, Upload.of(source, media_type, progress), query)
        return publication

    def save_bundle(
        self,
        dataset: str,
        number: int,
        path: Path | str,
        *,
        selections: Sequence[str] = (),
        progress: Callable[[Progress], None] | None = None,
    ) -> Path:
        """Write what checks a copy of a version without its owner to a file; only its owner's gateway has it.

        The file holds the salts and ids of all records and no content. It is as confidential as the records: give it to
        those who may have a copy. It is there when all of it came, was compared with the ledger and is on the disk;
        what was at `path` before is replaced then.

        Args:
            selections: the names of selections from the version: a copy can be compared with each of them then, and
                what lies outside is named.
        """
        watcher = progress or (lambda _: None)
        version = self.dataset_version(dataset, number)
        parts = [self.selection(dataset, number, name) for name in selections]
        query = f"?{urlencode({'selections': ','.join(selections)})}" if selections else ""
        path = Path(path)
        with replacing(path) as file:
            self._transport.fetch(
                f"/v1/datasets/{segment(dataset)}/versions/{number}/bundle{query}",
                file,
                lambda done: watcher(Progress("receiving", done)),
            )
            file.flush()
            with Bundle(str(file.name)) as bundle:
                records = bundle.check(
                    version, lambda done, read: watcher(Progress("checking", done, bundle.size, read))
                )
                for part in parts:
                    bundle.part(records, part)
        return path

    def verify_copy(
        self,
        source: Path | str | bytes,
        bundle: Path | str,
        *,
        selection: str | None = None,
        media_type: str | None = None,
        id_field: str | None = None,
        delimiter: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        check: bool = False,
    ) -> CopyComparison:
        """Compare a copy of what a bundle is of with the ledger, by that bundle and without the owner.

        This gateway says what the ledger has, of the version and of a `selection` from it that is named, or whose
        bundle it is; see `pedigree.verify_copy`.
        """
        with Bundle(bundle) as opened:
            dataset, number = opened.head.dataset, opened.head.number
            selection = selection or opened.head.part
            return verify_copy(
                source, opened, version=self.dataset_version(dataset, number),
                selection=None if selection is None else self.selection(dataset, number, selection),
                media_type=media_type, id_field=id_field, delimiter=delimiter, progress=progress, check=check,
            )  # fmt: skip

    def verify_record(
        self, evidence: EvidenceDocument | SelectionEvidence, *, root: str | None = None, size: int | None = None
    ) -> Verdict:
        """Check evidence against what it names, as this gateway has it from the ledger: version, selection, purposes.

        With a root that was read before (and its size) nothing is asked, as with `pedigree.verify_record`. Raises
        `InvalidEvidence`.
        """
        if root is not None:
            return verify_record(evidence, root=root, size=size)
        named = Evidence.of(evidence)
        version = self.dataset_version(named.dataset, named.number)
        # An owner has at most 32 of its own, which is one page.
        own = self.purposes(owner=named.owner, limit=50) if named.purposes >> FIRST_OWN else None
        if (selected := named.selected) is None:
            return verify_record(evidence, version=version, purposes=own)
        selection = self.selection(selected.dataset, selected.number, selected.name)
        return verify_record(evidence, version=version, selection=selection, purposes=own)
