# SPDX-License-Identifier: Apache-2.0
"""The consent store beside a dictionary: random changes, crashes at any point between them, and every past version."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chaincode.domain import sparsemerkle
from chaincode.domain.records import Consent
from gateway.services.indications import Status
from gateway.services.statusmaps import MapBehind, MapUnknown, SubjectsElsewhere
from gateway.services.statustree import Path as Way
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database
from tests.harness.sparsemap import root_of

DATASET = "cohort"
Leaves = dict[bytes, bytes]
VALUES = st.integers(-300, 300).map(lambda time: Status(Consent(time % 9), 0, time).encode())
SUBJECTS = st.integers(0, 11).map(lambda number: f"subject {number}")
SAID = st.lists(st.tuples(SUBJECTS, VALUES), min_size=1, max_size=8)
# Those that another gateway drew: few bits that differ, at both ends, so that their ways are long.
FOREIGN = st.builds(
    lambda first, last: bytes([first]) + bytes(30) + bytes([last]), st.integers(0, 3), st.integers(0, 3)
)


class Machine(RuleBasedStateMachine):
    """What the store says is what the dictionaries say, before and after every crash."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.crashes = 0
        self.references: dict[str, bytes] = {}
        self.collected: Leaves = {}
        self.built: list[Leaves] = []
        self.versions: list[Leaves] = []
        self.drafts: list[tuple[int, bytes, Leaves]] = []
        """Each the version that it is for, its root and its changes."""
        self.strangers: set[bytes] = set()

    @initialize()
    def begin(self) -> None:
        self.open()

    def open(self) -> None:
        self.database = Database.open(self.folder / "consent.db", "consent", durable=False)
        self.store = ConsentStore(self.database)

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder.parent / self.folder.name)

    def known(self, subjects: list[str]) -> list[bytes]:
        """The references of subjects, each the same whenever it is asked for."""
        found = self.store.references(DATASET, subjects)
        for subject, reference in zip(subjects, found, strict=True):
            assert self.references.setdefault(subject, reference) == reference
        assert len(set(self.references.values())) == len(self.references)
        return found

    def may_draw(self, subjects: list[str]) -> bool:
        """Whether references may be drawn; where not, the store says so."""
        if not self.strangers or set(subjects) <= self.references.keys():
            return True
        with pytest.raises(SubjectsElsewhere):
            self.store.references(DATASET, subjects)
        return False

    # -- opening -------------------------------------------------------------------------------------------------

    @rule(said=SAID)
    def collect(self, said: list[tuple[str, bytes]]) -> None:
        if self.may_draw([subject for subject, _ in said]):
            references = self.known([subject for subject, _ in said])
            values = [(reference, value) for reference, (_, value) in zip(references, said, strict=True)]
            self.store.collect(DATASET, values)
            for reference, value in values:
                held = self.collected.get(reference)
                if held is None or Status.decode(value).indicated_at >= Status.decode(held).indicated_at:
                    self.collected[reference] = value

    @precondition(lambda self: not self.versions)
    @rule()
    def build(self) -> None:
        state = self.store.build(DATASET)
        assert (state.number, state.size, state.root) == (0, len(self.collected), root_of(self.collected))
        self.built.append(dict(self.collected))

    @precondition(lambda self: self.built and not self.versions)
    @rule(data=st.data())
    def see_it_opened(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(self.built))
        self.store.settle(DATASET, 1, root_of(chosen))
        self.versions.append(chosen)
        self.collected = {key: value for key, value in self.collected.items() if chosen.get(key) != value}

    # -- versions ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.versions)
    @rule(said=SAID)
    def draft(self, said: list[tuple[str, bytes]]) -> None:
        said = list(dict(said).items())
        subjects = [subject for subject, _ in said]
        if not self.may_draw(subjects):
            return
        changes = list(zip(self.known(subjects), (value for _, value in said), strict=True))
        base, leaves = len(self.versions), dict(self.versions[-1])
        if self.strangers and not {reference for reference, _ in changes} <= leaves.keys():
            with pytest.raises(SubjectsElsewhere):
                self.store.draft(DATASET, base, changes)
            return
        draft = self.store.draft(DATASET, base, changes)
        for (reference, value), step in zip(changes, draft.steps, strict=True):
            assert (step.reference, step.value, step.before) == (reference, value, leaves.get(reference))
            assert shown(root_of(leaves), reference, step.path) == leaves.get(reference)
            leaves[reference] = value
        assert (draft.root, draft.size) == (root_of(leaves), len(leaves))
        assert list(self.store.drafted(DATASET, base, draft.root) or ()) == changes
        self.drafts.append((base + 1, draft.root, dict(changes)))

    @precondition(lambda self: self.drafts)
    @rule(data=st.data())
    def see_a_draft_recorded(self, data: st.DataObject) -> None:
        number, root, changes = data.draw(st.sampled_from(self.drafts))
        assert self.store.settle(DATASET, number, root).root == root
        self.follow(changes)

    @precondition(lambda self: self.versions and self.references)
    @rule(data=st.data(), said=st.lists(st.tuples(FOREIGN, VALUES), min_size=1, max_size=4))
    def see_what_another_gateway_did(self, data: st.DataObject, said: list[tuple[bytes, bytes]]) -> None:
        mine = data.draw(st.lists(st.tuples(st.sampled_from(sorted(self.references)), VALUES), max_size=3))
        changes = {**dict(said), **{self.references[subject]: value for subject, value in mine}}
        number, root = len(self.versions) + 1, root_of({**self.versions[-1], **changes})
        if root not in {drafted for _, drafted, _ in self.drafts}:
            false = {**changes, said[0][0]: bytes(16) + b"\1"}
            with pytest.raises(MapBehind):
                self.store.settle(DATASET, number, root, list(false.items()))
        self.store.settle(DATASET, number, root, list(changes.items()))
        self.strangers |= {reference for reference, _ in said if reference not in self.versions[-1]}
        self.follow(changes)

    def follow(self, changes: Leaves) -> None:
        self.collected = {key: value for key, value in self.collected.items() if changes.get(key) != value}
        self.versions.append({**self.versions[-1], **changes})
        self.drafts = []

    # -- crashes -------------------------------------------------------------------------------------------------

    @rule()
    def stop(self) -> None:
        self.database.close()
        self.open()

    @rule()
    def crash(self) -> None:
        """What was on the disk at this moment is all that the next process finds."""
        self.crashes += 1
        there = self.folder / f"crash-{self.crashes}"
        there.mkdir()
        for name in ("consent.db", "consent.db-wal"):
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, there / name)
        self.database.close()
        for left in self.folder.glob("consent.db*"):
            left.unlink()
        for found in there.iterdir():
            shutil.move(found, self.folder / found.name)
        self.open()

    # -- what holds ----------------------------------------------------------------------------------------------

    @invariant()
    def what_was_collected_is_kept(self) -> None:
        assert list(self.store.collected(DATASET)) == sorted(self.collected.items())

    @invariant()
    def the_head_is_the_last_version(self) -> None:
        head = self.store.head(DATASET)
        if not self.versions:
            assert head is None
            return
        last = self.versions[-1]
        assert head is not None
        assert (head.number, head.size, head.root) == (len(self.versions), len(last), root_of(last))

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def look_at_a_past_version(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, len(self.versions)))
        leaves = self.versions[number - 1]
        for reference in (*data.draw(st.lists(FOREIGN, max_size=3)), *self.references.values()):
            way = self.store.find(DATASET, number, reference)
            assert way.value_of(reference) == shown(root_of(leaves), reference, way) == leaves.get(reference)
        with pytest.raises(MapUnknown):
            self.store.find(DATASET, len(self.versions) + 1, bytes(32))


def shown(root: bytes, reference: bytes, way: Way) -> bytes | None:
    """What the law says that a path proves."""
    proof = sparsemerkle.Proof(b"".join(way.siblings), b"".join(way.terminal or ()))
    return sparsemerkle.verify(root, reference, proof)


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
