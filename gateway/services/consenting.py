# SPDX-License-Identifier: Apache-2.0
"""Consent at its controller: the map is opened, changed and proven, and follows what the ledger holds of it.

Where another change was first, one that was made for the version before is made again for the new one. A version that
another gateway of the organisation made is followed by what its transaction says. Ids of subjects are in files and
queries only; the ledger gets references.
"""

import base64
import logging
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import Final

from chaincode.domain import batch, codec
from chaincode.domain.canonical import parse
from chaincode.domain.consent import MOST_AFFECTED, MOST_CHANGES, ChangeConsent
from chaincode.domain.errors import LedgerError, MapMoved
from chaincode.domain.values import Command, Name
from gateway.services.catalogue import Catalogue
from gateway.services.consent import registered
from gateway.services.drafting import Upload
from gateway.services.failures import Category, PortError
from gateway.services.indications import Status, indications, lost
from gateway.services.places import Places
from gateway.services.ports import BlockSource, Clock, Entry, Failed, Json, Recorded
from gateway.services.recording import Recorder, command_from
from gateway.services.statusmaps import MapBehind, MapState, MapUnknown, StatusMaps, Step
from gateway.services.statustree import Leaf
from gateway.services.submitter import Answer, Intent
from gateway.services.tables import UnreadableRecords
from gateway.services.trees import batches

_LOG = logging.getLogger(__name__)

EVIDENCE_KIND: Final = "consent-evidence"
EVIDENCE_SCHEMA: Final = 1
MOST_SHOWN: Final = 100
"""How many changes of one subject its history shows: the last ones."""
_COLLECTED: Final = 20_000
"""Indications that are kept at once, in one commit for their subjects and one for what they said."""
_CHANGE: Final = codec.kind_of(ChangeConsent)
_ATTEMPTS: Final = 5
"""How often one change is made again because another was first."""


class SubjectUnknown(PortError):
    """No record and no indication of that data subject was ever given to this gateway."""

    code = "subject-unknown"
    category = Category.NOT_FOUND


@dataclass(frozen=True, slots=True)
class Changed(Answer):
    """How a change of consent ended."""

    ended: tuple[bytes, ...] = ()
    """The references of the subjects who permit less than before, where it was recorded."""
    unmarked: int = 0
    """How many selections that it affects are not marked yet; the same request again marks them."""


class Consents:
    """Opens, changes and proves the consent maps of this organisation's data sets; thread-safe."""

    def __init__(
        self,
        recorder: Recorder,
        catalogue: Catalogue,
        maps: StatusMaps,
        places: Places,
        blocks: BlockSource,
        channel: str,
        clock: Clock,
    ) -> None:
        self._recorder = recorder
        self._catalogue = catalogue
        self._maps = maps
        self._places = places
        self._blocks = blocks
        self._channel = channel
        self._clock = clock
        self._turn = threading.Lock()

    def open(self, intent: Intent, dataset: Name, upload: Upload | None) -> Answer:
        """Open the map over what was collected with the records, and over what a file of indications says."""

        def build() -> Command:
            if upload is not None:
                self._collect(dataset, upload)
            state = self._maps.build(dataset)
            return command_from("consent:open", {"root": state.root.hex(), "size": state.size}, {"dataset": dataset})

        with self._turn:
            answer = self._recorder.submit(intent, "consent:open", build)
        with suppress(MapBehind):  # another gateway's map was first, which is what the answer says
            self.follow(dataset)
        return answer

    def change(self, intent: Intent, dataset: Name, upload: Upload) -> Changed:
        """Record what up to 500 subjects indicated, each proven against the map as it is.

        Where that ends what subjects permitted, it names the selections that hold records of theirs, or may, so that
        the ledger marks them; those that are more than one transaction takes are marked by others after it. A
        selection that is recorded meanwhile is not among them: no run over it is permitted either, since the map has
        moved.

        Raises `MapUnknown`, `MapBehind`, and what `Recorder.submit` raises.
        """
        with closing(self._indications(upload)) as found:
            said = list(islice(found, MOST_CHANGES + 1))
        if len(said) > MOST_CHANGES:
            raise UnreadableRecords(f"one transaction changes at most {MOST_CHANGES} subjects", limit=MOST_CHANGES)

        def build() -> Command:
            head = self._head(dataset)
            references = self._maps.references(dataset, [subject for subject, _ in said])
            values = [(each, status.encode()) for each, (_, status) in zip(references, said, strict=True)]
            draft = self._maps.draft(dataset, head.number, values)
            body: Json = {
                "number": head.number + 1,
                "previous_root": head.root.hex(),
                "changes": list(map(_plain, draft.steps)),
            }
            if affected := self._places.affected(dataset, _lost(draft.steps)):
                body["affects"] = list(affected[:MOST_AFFECTED])
            return command_from("consent:change", body, {"dataset": dataset})

        with self._turn:
            answer = self._made_again(intent, dataset, build)
        self.follow(dataset)
        if not isinstance(answer.ending, Recorded):
            return Changed(answer.ending, answer.submission_id, answer.replayed)
        number = int(answer.ending.body["record"]["number"])
        ended = self._ended(dataset, number, [subject for subject, _ in said])
        unmarked = self._mark(intent, dataset, number, ended) if ended else 0
        return Changed(answer.ending, answer.submission_id, answer.replayed, tuple(ended), unmarked)

    def _ended(self, dataset: Name, number: int, subjects: Sequence[str]) -> dict[bytes, int]:
        """What subjects no longer permit in a version and did in the one before, of those who permit less."""
        references = self._maps.references(dataset, subjects)
        before, after = (self.said(dataset, each, references) for each in (number - 1, number))
        changes = {each: lost(was, now) for each, was, now in zip(references, before, after, strict=True)}
        return {reference: purposes for reference, purposes in changes.items() if purposes}

    def _mark(self, intent: Intent, dataset: Name, number: int, ended: Mapping[bytes, int]) -> int:
        """Mark the selections that a recorded change has not marked; answers how many are left where that fails."""
        left = self._places.affected(dataset, ended)
        while left:
            some = left[:MOST_AFFECTED]
            # The key says which, so that a repeated request marks those that are left then.
            key = f"{intent.key}~{sha256(' '.join(some).encode()).hexdigest()[:16]}"
            body = {"number": number, "selections": list(some)}
            command = command_from("consent:mark", body, {"dataset": dataset})
            marking = replace(intent, key=key, respond_async=False)
            try:
                answer = self._recorder.submit(marking, "consent:mark", partial(_same, command))
            except (PortError, LedgerError):
                _LOG.warning("%s selections of %s could not be marked", len(left), dataset, exc_info=True)
                break
            if not isinstance(answer.ending, Recorded):
                _LOG.warning("%s selections of %s could not be marked: %s", len(left), dataset, answer.ending)
                break
            left = left[MOST_AFFECTED:]
        return len(left)

    def _collect(self, dataset: Name, upload: Upload) -> None:
        """Keep what a file says for the map that is to be opened, once all of it was read without a refusal."""
        for _ in self._indications(upload):
            pass
        with closing(self._indications(upload)) as found:
            for batch in batches(found, _COLLECTED):
                references = self._maps.references(dataset, [subject for subject, _ in batch])
                values = zip(references, (status.encode() for _, status in batch), strict=True)
                self._maps.collect(dataset, values)

    def _indications(self, upload: Upload) -> Generator[tuple[str, Status]]:
        return indications(upload.table(), int(self._clock() * 1_000), upload.vocabulary)

    def _made_again(self, intent: Intent, dataset: Name, build: Callable[[], Command]) -> Answer:
        """The answer to a change, or to what was made of it where another was first.

        Each attempt has a key of its own that follows from the first, so that a repeated request takes the same way.
        """
        answer = self._recorder.submit(intent, "consent:change", build)
        for attempt in range(2, _ATTEMPTS + 1):
            ending = answer.ending
            if not isinstance(ending, Failed) or ending.code != MapMoved.code:
                return answer
            head = self._head(dataset)
            if not answer.replayed and head.root.hex() != ending.facts.get("root"):
                return answer
            again = replace(intent, key=f"{intent.key}~{attempt}")
            answer = self._recorder.submit(again, "consent:change", build)
        return answer

    def proof(self, dataset: Name, subject: str, number: int | None = None) -> Json:
        """Evidence of what a subject's consent is in a version of the map, the last one by default.

        Its `status` is null where the subject is absent from that version. It holds the subject's reference and
        nothing else of the subject.
        """
        head = self._head(dataset)
        reference = self.reference(dataset, subject)
        number = head.number if number is None else number
        way = self._maps.find(dataset, number, reference)
        own = way.value_of(reference)
        entry = self._catalogue.get("consent-map-version", f"consent-map-version:{dataset}:{number}",
                                    dataset=dataset, number=str(number))  # fmt: skip
        self._maps.settle(dataset, number, bytes.fromhex(entry["record"]["root"]))
        status = None if own is None else Status.decode(own)
        named = registered(self._catalogue, entry["record"]["owner"], 0 if status is None else status.purposes)
        return {
            "kind": EVIDENCE_KIND,
            "schema": EVIDENCE_SCHEMA,
            "channel": self._channel,
            "version": entry["record"],
            "transaction": entry["transaction"],
            "subject": reference.hex(),
            "status": None if status is None else status.shown(),
            "proof": {
                "siblings": _blob(way.siblings),
                "leaf": _blob(way.terminal or ()),
            },
            **({"purposes": named} if named else {}),
        }

    def history(self, dataset: Name, subject: str) -> Json:
        """What a subject has indicated over the versions of the map: as it is now, and every change, newest first."""
        head = self._head(dataset)
        reference = self.reference(dataset, subject)
        changes, count = self._maps.history(dataset, reference, MOST_SHOWN)
        return {
            "dataset": dataset,
            "number": head.number,
            "subject": reference.hex(),
            "status": Status.decode(changes[0][1]).shown() if changes else None,
            "history": [self._change(dataset, number, value) for number, value in changes],
            "left": count - len(changes),
        }

    def _change(self, dataset: Name, number: int, value: bytes) -> Json:
        entry = self._catalogue.get("consent-map-version", f"consent-map-version:{dataset}:{number}",
                                    dataset=dataset, number=str(number))  # fmt: skip
        transaction = entry["transaction"]
        return {"number": number, "status": Status.decode(value).shown(), "transaction": transaction}

    def reference(self, dataset: Name, subject: str) -> bytes:
        """The reference of a subject, by the controller's own id; raises `SubjectUnknown`."""
        reference = self._maps.reference(dataset, subject)
        if reference is None:
            raise SubjectUnknown(f"this gateway knows no such subject of {dataset}", dataset=dataset)
        return reference

    def said(self, dataset: Name, number: int, references: Sequence[bytes]) -> list[Status | None]:
        """What subjects had indicated in a version of the map; `None` for one who is not in it."""
        values = self._maps.values(dataset, number, references)
        return [None if value is None else Status.decode(value) for value in values]

    def as_of(self, dataset: Name, height: int) -> MapState | None:
        """The version of the map that was in force at a height (a count of blocks); `None` before the first."""
        head = self.follow(dataset)
        low, high = 0, 0 if head is None else head.number
        while low < high:
            middle = (low + high + 1) // 2
            entry = self._catalogue.find("consent-map-version", dataset=dataset, number=str(middle))
            if entry is not None and entry.block < height:
                low = middle
            else:
                high = middle - 1
        return self._maps.state(dataset, low) if low else None

    def follow(self, dataset: Name) -> MapState | None:
        """The last version of the map, once all that is known of the ledger's has been followed."""
        head = self._maps.head(dataset)
        while True:
            number = 1 if head is None else head.number + 1
            entry = self._catalogue.find("consent-map-version", dataset=dataset, number=str(number))
            if entry is None:
                return head
            head = self._followed(dataset, number, entry)

    def _followed(self, dataset: Name, number: int, entry: Entry) -> MapState:
        """The ledger's version: as it was made here, or as another gateway of this organisation made it."""
        root = bytes.fromhex(entry.value["root"])
        try:
            return self._maps.settle(dataset, number, root)
        except MapBehind:
            command = self._blocks.command(entry.transaction_id, entry.block) if number > 1 else None
            if command is None:
                raise
        return self._maps.settle(dataset, number, root, changes_in(command, dataset, number))

    def _head(self, dataset: Name) -> MapState:
        head = self.follow(dataset)
        if head is None:
            raise MapUnknown(f"no consent map of {dataset} is open", dataset=dataset)
        return head


def changes_in(command: str, dataset: Name, number: int) -> list[Leaf]:
    """The references and new values in the change that made a version of a map; none where it is another command.

    It may be one of a batch.
    """
    try:
        value = parse(command.encode())
        several = isinstance(value, dict) and value.get("kind") == batch.KIND
        commands = [each.command for each in batch.parse_batch(command.encode())] if several else [value]
        found = [codec.from_plain(each) for each in commands if isinstance(each, dict) and each.get("kind") == _CHANGE]
    except LedgerError:
        return []
    changes = (each for each in found if isinstance(each, ChangeConsent))
    change = next((each for each in changes if each.dataset == dataset and each.number == number), None)
    return [] if change is None else [(each.subject, each.new.value()) for each in change.changes]


def _lost(steps: Iterable[Step]) -> dict[bytes, int]:
    """What each subject no longer permits, of those who permit less than before."""
    ended = {}
    for step in steps:
        before = None if step.before is None else Status.decode(step.before)
        if purposes := lost(before, Status.decode(step.value)):
            ended[step.reference] = purposes
    return ended


def _same(command: Command) -> Command:
    return command


def _plain(step: Step) -> Json:
    """A change as the law takes it."""
    change: Json = {
        "subject": step.reference.hex(),
        "new": Status.decode(step.value).shown(),
        "siblings": _blob(step.path.siblings),
    }
    if step.before is not None:
        return {**change, "old": Status.decode(step.before).shown()}
    if step.path.terminal is not None:
        change["other"] = _blob(step.path.terminal)
    return change


def _blob(pieces: Iterable[bytes]) -> str:
    return base64.b64encode(b"".join(pieces)).decode()
