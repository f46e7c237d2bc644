# SPDX-License-Identifier: Apache-2.0
"""What a gateway says of lineage, from the blocks that it read, is what the contracts say at the same time."""

import json
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaincode.domain import sparsemerkle
from chaincode.domain.consent import ChangeConsent, ConsentMap, ConsentStatus, Indication, OpenConsent, SubjectChange
from chaincode.domain.errors import LedgerError
from chaincode.domain.lifecycle import ConfirmQuarantine, LiftQuarantine, Quarantine, Release
from chaincode.domain.lineage import Ancestry, Impact
from chaincode.domain.model import ModelParent, Relation
from chaincode.domain.policy import DEFAULT_LAPSE
from chaincode.domain.provenance import LawfulBasis
from chaincode.domain.selection import CommitSelection, LeftOut, MapState
from chaincode.domain.training import Code, Environment, RecordRun
from chaincode.domain.usage import Found, RunInput
from chaincode.domain.values import Blob, Count, Digest, Iri, Name, Number, Purposes, Ref, SignedInstant, Text
from gateway.services.lineage import DOWN, UP, LineageReader
from gateway.services.ports import LedgerBlock, LedgerTransaction, LedgerWrite
from gateway.stores.database import Database
from gateway.stores.lineagegraph import LineageGraph
from gateway.stores.readmodel import ReadModelStore

HOSPITAL, LAB, REGULATOR = "HospitalMSP", "LabMSP", "RegulatorMSP"
DATA, CHOSEN, RUN = Ref("dataset-version:wdbc:1"), Ref("selection:wdbc:1:permitted"), Ref("run:r-1")
NET, SMALL, BOTH = (Ref(f"model-version:{name}:1") for name in ("net", "small", "both"))
ARTIFACTS = (DATA, CHOSEN, RUN, NET, SMALL, BOTH)
RESEARCH, ZERO, PATIENT = Iri("https://w3id.org/dpv#ScientificResearch"), Digest(bytes(32)), Digest(b"\x07" * 32)
GIVEN = Indication(ConsentStatus.GIVEN, Purposes(1), SignedInstant(0))
WITHDRAWN = Indication(ConsentStatus.WITHDRAWN, Purposes(0), SignedInstant(1))


class Followed:
    """A gateway's lineage that reads one block for each transaction that a world has committed."""

    def __init__(self, world, folder):
        self.world = world
        self.database = Database.open(Path(folder) / "readmodel.db", "readmodel", durable=False)
        self.model = ReadModelStore(self.database)
        self.graph = LineageGraph(self.model)
        self.reader = LineageReader(self.model, self.graph, lambda: world.now.timestamp())
        self.versions = {}

    def catch_up(self):
        """Read what was written since the last time, as of now."""
        state = self.world.state
        changed = [key for key, (_, version) in state.items() if self.versions.get(key) != version]
        self.versions = {key: version for key, (_, version) in state.items()}
        number, at = self.model.height(), self.world.now.astimezone(UTC).isoformat()
        writes = tuple(LedgerWrite(key, json.loads(state[key][0])) for key in sorted(changed))
        done = LedgerTransaction(f"{number:064x}", 0, 0, LAB, at, None, writes)
        self.model.apply(LedgerBlock(number, f"{number + 1:x}", f"{number:x}" if number else "", (done,)))

    def says(self, as_of=None):
        """Of each artifact, both ways: of each that is reached what is stopped, and how far away the cause is."""
        return {
            (of, direction): noted(self.reader.lineage(of, direction, as_of=as_of)["nodes"])
            for of in ARTIFACTS
            for direction in (UP, DOWN)
        }

    def graph_says(self, as_of=None):
        """Of each artifact below the data what review is required for, by the lineage in memory."""
        page = self.reader.reached(DATA, DOWN, as_of=as_of, depth=None, cursor=None, limit=100)
        return {
            each["reference"]: (each["stopped"], len(each["review_path"]), each["review_cause"])
            for each in page["items"]
        }


@contextmanager
def following(world):
    with TemporaryDirectory() as folder:
        followed = Followed(world, folder)
        try:
            yield followed
        finally:
            followed.database.close()


def noted(nodes):
    # Beside the ledger's edges a gateway knows what something is a version of.
    mine = (node for node in nodes if node["reference"] in ARTIFACTS)
    return {
        node["reference"]: (node["quarantined"], node.get("withdrawn", False), len(node["review_path"]))
        for node in mine
    }


def law_says(world):
    return {
        (of, direction): noted(world.ask(question(of))["nodes"])
        for of in ARTIFACTS
        for direction, question in ((UP, Ancestry), (DOWN, Impact))
    }


def law_says_of_each(world):
    """Of each artifact below the data, over all that is above it, what review is required for."""
    found = {}
    for of in ARTIFACTS[1:]:
        nodes = {node["reference"]: node for node in world.ask(Ancestry(of))["nodes"]}
        path = nodes[of]["review_path"]
        found[of] = (cause(nodes[of]), len(path), cause(nodes[path[-1]]) if path else None)
    return found


def cause(node):
    return "withdrawn" if node.get("withdrawn") else "quarantined" if node["quarantined"] else None


def furnish(world):
    """Consented data, a selection from it, a run, a model, another from that, and one from both."""
    world.found()
    world.dataset(HOSPITAL, "wdbc", basis=LawfulBasis.CONSENT)
    world.dataset_version(HOSPITAL, "wdbc")
    world.submit(HOSPITAL, OpenConsent(Name("wdbc"), root_of(GIVEN), Count(1)))
    head = world.read(ConsentMap, "wdbc")
    chosen = CommitSelection(
        DATA, Name("permitted"), ZERO, Count(8), purpose=RESEARCH, left_out=(LeftOut(Text("no consent"), Count(2)),),
        consent_map=MapState(head.number, head.root),
    )  # fmt: skip
    world.submit(HOSPITAL, chosen)
    used = RunInput(DATA, ZERO, selection=CHOSEN, found=Found.VERIFIED)
    world.submit(
        LAB,
        RecordRun(Name("r-1"), Code(ZERO), Environment(ZERO), world.at, world.at, (used,), purpose=RESEARCH),
    )
    world.model_version(LAB, "net", run=Name("r-1"))
    world.model_version(LAB, "small", parents=(ModelParent(NET, Relation.DISTILLED),))
    parents = (ModelParent(NET, Relation.MERGED), ModelParent(SMALL, Relation.MERGED))
    world.model_version(LAB, "both", parents=parents)


def root_of(said):
    return Digest(sparsemerkle.leaf_hash(PATIENT, said.value()))


def withdrawal():
    change = SubjectChange(PATIENT, WITHDRAWN, Blob(b""), GIVEN)
    return ChangeConsent(Name("wdbc"), Number(2), root_of(GIVEN), (change,), affects=(CHOSEN,))


members, stoppable = st.sampled_from([HOSPITAL, LAB, REGULATOR]), st.sampled_from([DATA, NET, SMALL])
steps = st.one_of(
    st.tuples(
        st.sampled_from([Quarantine, Quarantine, ConfirmQuarantine, LiftQuarantine, Release]), members, stoppable
    ),
    st.tuples(st.just("wait"), st.sampled_from([1, DEFAULT_LAPSE // 2, DEFAULT_LAPSE]), st.none()),
    st.tuples(st.just("withdraw"), st.none(), st.none()),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=9))
def test_contracts_and_gateway_agree_on_what_is_stopped_and_what_follows(make_world, steps):
    world = make_world()
    furnish(world)
    with following(world) as followed:
        followed.catch_up()
        said = {1: (law_says(world), law_says_of_each(world))}
        for what, one, other in steps:
            try:
                if what == "wait":
                    world.wait(seconds=one)
                else:
                    command = withdrawal() if what == "withdraw" else what(other, Text("seen"))
                    world.submit(HOSPITAL if what == "withdraw" else one, command)
                    followed.catch_up()
                    said[followed.model.height()] = (law_says(world), law_says_of_each(world))
            except LedgerError:
                pass
            assert (followed.says(), followed.graph_says()) == (law_says(world), law_says_of_each(world))
        for height, expected in said.items():
            assert (followed.says(height), followed.graph_says(height)) == expected
