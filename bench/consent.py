# SPDX-License-Identifier: Apache-2.0
"""What a consent map of many subjects costs its controller's gateway: to collect, to open and to change.

The ledger is the law itself in this process, so that what is counted is the gateway's own work and, beside it, what one
endorser computes. Times are of the processor, which a busy machine changes little.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from bench.measure import Metric, median, paired_ratio
from chaincode.domain import codec
from chaincode.domain.consent import MOST_CHANGES, ChangeConsent, ConsentMap, OpenConsent, change_consent, open_consent
from chaincode.domain.marking import Known
from chaincode.domain.provenance import Dataset, LawfulBasis
from chaincode.domain.values import Command, Instant, Name, OrgId
from gateway.services.catalogue import Catalogue
from gateway.services.consenting import Consents
from gateway.services.drafting import Upload
from gateway.services.endings import Recorded
from gateway.services.places import Places
from gateway.services.ports import BlockSource, Entry, Json
from gateway.services.recording import Recorder
from gateway.services.submitter import Answer, Intent
from gateway.services.tables import CSV
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database

SUBJECTS = 1_000_000
_OWNER = OrgId("HospitalMSP")
_DATASET = Name("cohort")
_STRIDE = 7_919
"""A prime: subjects that are changed together are not beside one another in the file."""


class _Owned:
    owner = _OWNER
    basis = LawfulBasis.CONSENT


class _Ledger:
    """The rules and what they write, as the gateway's recorder, its catalogue and its blocks."""

    def __init__(self) -> None:
        self.head: ConsentMap | None = None
        self.versions: dict[str, Json] = {}
        self.spent = 0.0
        """Seconds of the law's last decision, with reading the command."""

    def submit(self, _intent: Intent, _function: str, build: Callable[[], Command]) -> Answer:
        text = codec.to_json(build())
        started = time.process_time()
        command = codec.from_json(text)
        known: dict[str, Any] = {
            "by": _OWNER, "at": Instant(time.time_ns() // 1_000_000), "dataset": cast("Dataset", _Owned()),
        }  # fmt: skip
        if isinstance(command, OpenConsent):
            outcome = open_consent(command, existing=self.head, **known)
        else:
            command = cast("ChangeConsent", command)
            outcome = change_consent(command, head=self.head, known=Known({}, (), ()), **known)
        self.spent = time.process_time() - started
        self.head = cast("ConsentMap", outcome.writes[1])
        plain = cast("Json", codec.to_plain(outcome.writes[0]))
        self.versions[str(plain["number"])] = plain
        return Answer(Recorded({"record": plain}, 1), "s")

    def find(self, kind: str, *, dataset: str, number: str) -> Entry | None:
        found = self.versions.get(number)
        return None if found is None else Entry(f"{dataset}/{number}", kind, found, number, 1, "")

    def command(self, transaction_id: str, block: int) -> str | None:
        return None


class _Nowhere:
    """No records of the subjects are in any selection."""

    def affected(self, dataset: str, lost: Mapping[bytes, int]) -> tuple[str, ...]:
        return ()


def measure(_kind: str, rounds: int, _seconds: float, subjects: int = SUBJECTS) -> Sequence[Metric]:
    """Collect and open a map of so many subjects, then change one and 500 of them, in turn."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "consent.db", "consent", durable=True)
        try:
            store, ledger = ConsentStore(database), _Ledger()
            consents = Consents(
                cast("Recorder", ledger),
                cast("Catalogue", ledger),
                store,
                cast("Places", _Nowhere()),
                cast("BlockSource", ledger),
                "pedigree",
                time.time,
            )
            opened = _spent(lambda: consents.open(_intent("open"), _DATASET, _file(range(subjects), "ConsentGiven")))
            console.print(f"opened a map of {subjects:,} subjects in {opened:.1f} s of the processor")
            found = _changes(consents, ledger, rounds, subjects)
        finally:
            database.close()
    single, many, law = ([each * 1_000 for each in times] for times in zip(*found, strict=True))
    how = f"of {subjects:,} subjects, processor time, median of {rounds}"
    return [
        Metric("consent.open_s", opened, "s", f"a file of {subjects:,} indications to the root of a map, once"),
        Metric("consent.change_ms", median(single), "ms", f"one subject in a map {how}"),
        Metric(
            "consent.change_500_ms", median(many), "ms", f"{MOST_CHANGES} subjects in a map {how}",
            f"{MOST_CHANGES} changes of one subject", paired_ratio(many, [MOST_CHANGES * each for each in single]),
        ),
        Metric("consent.law_500_ms", median(law), "ms", f"an endorser's part for {MOST_CHANGES} subjects {how}"),
    ]  # fmt: skip


def _changes(consents: Consents, ledger: _Ledger, rounds: int, subjects: int) -> list[tuple[float, float, float]]:
    """Seconds for one subject, for 500, and of these the law's; no subject is changed twice."""
    found = []
    for turn in range(rounds):
        first = turn * (MOST_CHANGES + 1)
        drawn = [(number * _STRIDE) % subjects for number in range(first, first + 1 + MOST_CHANGES)]
        one, many = (_file(numbers, "ConsentWithdrawn") for numbers in (drawn[:1], drawn[1:]))
        single = _spent(partial(consents.change, _intent(f"{turn} one"), _DATASET, one)) - ledger.spent
        both = _spent(partial(consents.change, _intent(f"{turn} many"), _DATASET, many))
        found.append((single, both - ledger.spent, ledger.spent))
    return found


def _spent(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _intent(key: str) -> Intent:
    return Intent("bench", key, "")


def _file(numbers: Sequence[int], state: str) -> Upload:
    rows = "".join(f"patient-{number:08},{state},research\n" for number in numbers)
    return Upload(io.BytesIO(f"subject,state,purposes\n{rows}".encode()), CSV)
