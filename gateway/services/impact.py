# SPDX-License-Identifier: Apache-2.0
"""What a withdrawal comes to: from data subjects to their records, and to all that was made with these.

Records lead to the versions that hold them, and these to selections, runs, models and what was made of them, by the
lineage as of a height. Of each artifact it is said whether the records reached training or only a hold-out, and
whether that is certain: what cannot be ruled out here counts, and says so. Something has to be done about what the
records reached by a selection for a purpose that a subject no longer permits, or by a version where a subject permits
nothing. Subjects are named by their references.
"""

import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from chaincode.domain.lineage import LONGEST_PATH, REPLACES
from chaincode.domain.usage import InputRole
from chaincode.domain.values import ArtifactKind, Name, Ref, dataset_ref
from gateway.services.catalogue import Catalogue
from gateway.services.consenting import Consents
from gateway.services.cursors import closed, opened
from gateway.services.filters import InvalidParameter
from gateway.services.heights import DOWN, Heights
from gateway.services.lineage import LineageReader
from gateway.services.memberships import InVersion
from gateway.services.places import Places
from gateway.services.ports import Json, Unavailable
from gateway.services.references import identifying

MOST_REACHED: Final = 5_000
"""How many artifacts one impact looks at."""
MOST_RECORDS: Final = 100
"""How many records of a version it names; all are counted."""
COVERED: Final = ("dataset-version", "selection", "training-run", "model-version", "evaluation", "deployment")
"""The kinds of record that it follows."""
NOT_COVERED: Final = ("licensee",)
"""What a model goes on to that is on no ledger yet, and of which it therefore says nothing."""
_LIST: Final = "consent-impact"
_PLACE: Final = re.compile(r"([0-9]{1,10})\.([0-9]{1,10})")
_RUN, _EVALUATION, _DEPLOYMENT = "run", "evaluation", "deployment"


class Reach(NamedTuple):
    """How records reached something: 0 not, 1 it cannot be ruled out, 2 certainly."""

    data: int = 0
    """They are in it."""
    train: int = 0
    """Something was trained on them."""
    held_out: int = 0
    """They were used to choose or to measure, and not to train."""

    def joined(self, other: "Reach") -> "Reach":
        """What both together come to."""
        return Reach(*map(max, self, other))

    @property
    def used(self) -> "Reach":
        """What goes on to what is made from a run or a model."""
        return self._replace(data=0)

    @property
    def role(self) -> str:
        """The word for it: `train`, `held-out`, or `data`."""
        return "train" if self.train else "held-out" if self.held_out else "data"

    @property
    def certain(self) -> bool:
        """Whether that word is certain."""
        return {"train": self.train, "held-out": self.held_out, "data": self.data}[self.role] == 2


_NOTHING: Final = Reach()


@dataclass(slots=True)
class _Graph:
    """What lies below the versions that hold the records."""

    distance: dict[Ref, int] = field(default_factory=dict)
    above: dict[Ref, list[Ref]] = field(default_factory=dict)
    below: dict[Ref, list[Ref]] = field(default_factory=dict)
    versions: set[Ref] = field(default_factory=set)
    """Those that hold the records, at which the ways up end."""
    complete: bool = True

    def add(self, walked: Json) -> None:
        """Add what a walk came to."""
        self.complete = self.complete and walked["complete"]
        for node in walked["nodes"]:
            reference = Ref(node["reference"])
            self.distance[reference] = min(node["distance"], self.distance.get(reference, node["distance"]))
        for edge in walked["edges"]:
            parent, child = Ref(edge["parent"]), Ref(edge["child"])
            if edge["relation"] != REPLACES and parent not in self.above.setdefault(child, []):
                self.above[child].append(parent)
                self.below.setdefault(parent, []).append(child)

    def in_order(self) -> Iterable[Ref]:
        """Every artifact, after all that it was made from."""
        missing = {node: len(self.above.get(node, ())) for node in self.distance}
        ready = deque(sorted(node for node, count in missing.items() if not count))
        while ready:
            node = ready.popleft()
            yield node
            for child in self.below.get(node, ()):
                missing[child] -= 1
                if not missing[child]:
                    ready.append(child)


class Impacts:
    """Says what a change of consent comes to; reads, and records nothing."""

    def __init__(
        self, catalogue: Catalogue, heights: Heights, lineage: LineageReader, consents: Consents, places: Places
    ) -> None:
        self._catalogue = catalogue
        self._heights = heights
        self._lineage = lineage
        self._consents = consents
        self._places = places

    def of_subject(
        self, dataset: Name, subject: str, *, as_of: int | None = None, cursor: str | None = None, limit: int = 50
    ) -> Json:
        """A page of the impact of one subject, by the controller's own id; raises `SubjectUnknown`, `MapUnknown`."""
        return self.of(dataset, [self._consents.reference(dataset, subject)], as_of=as_of, cursor=cursor, limit=limit)

    def of(
        self,
        dataset: Name,
        references: Sequence[bytes],
        *,
        as_of: int | None = None,
        cursor: str | None = None,
        limit: int = 50,
        named: bool = True,
    ) -> Json:
        """A page of what was made with the records of some subjects, nearest first, and what each owner has to do.

        The versions that hold their records, the counts and `duties` are of the whole. `named` says whether the ids of
        records are in it, which only their owner should see.
        """
        asked = {"dataset": dataset, "subjects": "".join(sorted(each.hex() for each in references))}
        at, start = self._place(cursor, asked, as_of)
        self._heights.known(dataset_ref(dataset), at)
        states, permits = self._states(dataset, references, at)
        permitted = all(permits.values())
        held = [each for each in self._places.of_subjects(dataset, references) if self._is_there(each.version, at)]
        graph = self._walked(held, at)
        reached = self._reached(graph, held, at)
        stopped = self._stopped(dataset, permits, held)
        concerned = self._reached(graph, held, at, stopped) if any(permits.values()) else reached
        found = sorted(
            (node for node, reach in reached.items() if reach != _NOTHING and node not in graph.versions),
            key=lambda node: (graph.distance[node], node),
        )
        items = [self._item(node, reached, graph, concerned.get(node, _NOTHING), at) for node in found]
        end = start + limit
        return {
            "dataset": dataset,
            "as_of": at,
            **states,
            "permitted": permitted,
            "versions": [self._version(each, references, named=named) for each in held],
            "items": items[start:end],
            "next": closed(f"{at}.{end}", _LIST, asked) if end < len(items) else None,
            "count": len(items),
            "count_exact": graph.complete,
            "beyond": None if graph.complete else [self._beyond(each.version, at) for each in held],
            "duties": _duties(dataset_ref(dataset), self._owner(dataset_ref(dataset)), items, stopped & graph.versions),
            "covered": list(COVERED),
            "not_covered": list(NOT_COVERED),
        }

    def _place(self, cursor: str | None, asked: Mapping[str, str], as_of: int | None) -> tuple[int, int]:
        """The height that a list is as of, and where in it a page begins."""
        place = opened(cursor, _LIST, asked)
        if place is None:
            return self._heights.reached(as_of), 0
        if (found := _PLACE.fullmatch(place)) is None:
            raise InvalidParameter("cursor", "it must be the 'next' of an earlier page of this list")
        at, start = map(int, found.groups())
        if as_of not in (None, at):
            raise InvalidParameter("as_of", f"the cursor is of a list as of {at}: leave it out, or say the same")
        return self._heights.reached(at), start

    def _states(self, dataset: Name, references: Sequence[bytes], at: int) -> tuple[Json, dict[bytes, int]]:
        """What the subjects had indicated by a height, and the set of purposes that each permitted."""
        state = self._consents.as_of(dataset, at)
        if state is None:
            subjects = [{"subject": each.hex(), "status": None} for each in references]
            return {"map": None, "subjects": subjects}, dict.fromkeys(references, 0)
        said = dict(zip(references, self._consents.said(dataset, state.number, references), strict=True))
        shown = [{"subject": each.hex(), "status": None if one is None else one.shown()} for each, one in said.items()]
        permits = {each: 0 if one is None else one.permitted for each, one in said.items()}
        return {"map": {"number": state.number, "root": state.root.hex()}, "subjects": shown}, permits

    def _stopped(self, dataset: Name, permits: Mapping[bytes, int], held: Sequence[InVersion]) -> set[Ref]:
        """The versions and selections in which a subject is who does not permit what they are for.

        A version, and a selection for no purpose, or for one that is not the data set's owner's, may be used where a
        subject permits anything.
        """
        alike: dict[int, list[bytes]] = {}
        for reference, purposes in permits.items():
            alike.setdefault(purposes, []).append(reference)
        bits = self._places.bits(dataset)
        stopped: set[Ref] = set()
        for purposes, references in alike.items():
            for version in held if len(alike) == 1 else self._places.of_subjects(dataset, references):
                if not purposes:
                    stopped.add(version.version)
                for each in version.selections:
                    bit = None if each.purpose is None else bits.get(each.purpose)
                    if not purposes or (bit is not None and not purposes >> bit & 1):
                        stopped.add(each.selection)
        return stopped

    def _walked(self, held: Sequence[InVersion], at: int) -> _Graph:
        """Everything below the versions, within `MOST_REACHED`."""
        graph = _Graph(versions={each.version for each in held})
        for each in held:
            left = MOST_REACHED - len(graph.distance)
            if each.version in graph.distance:
                continue
            if left < 1:
                graph.complete = False
                break
            graph.add(self._lineage.lineage(each.version, DOWN, left, as_of=at))
        return graph

    def _reached(
        self, graph: _Graph, held: Sequence[InVersion], at: int, only: Collection[Ref] | None = None
    ) -> dict[Ref, Reach]:
        """How the records reached every artifact of the graph; where `only` is given, by these of `held`."""
        own = held[0].version.name if held else None
        reached: dict[Ref, Reach] = {}
        for version in held:
            if only is None or version.version in only:
                reached[version.version] = Reach(data=2 if version.known else 1)
            for selection in version.selections:
                if (only is None or selection.selection in only) and self._is_there(selection.selection, at):
                    certain = selection.known and version.known
                    reached[selection.selection] = Reach(data=2 if certain else 1)
                    # A walk that was cut short need not have come to it.
                    graph.distance.setdefault(selection.selection, 1)
        for node in graph.in_order():
            if node not in reached:
                reached[node] = self._reach(node, own, graph.above.get(node, ()), reached)
        return reached

    def _reach(self, node: Ref, own: Name | None, above: Sequence[Ref], reached: Mapping[Ref, Reach]) -> Reach:
        """How the records reached an artifact, from how they reached what it was made from."""
        given = [reached.get(parent, _NOTHING) for parent in above]
        if node.kind in (ArtifactKind.DATASET_VERSION, "selection"):
            # Of the data set itself it is known which versions and selections hold the records; of what others
            # derived from it only its owner could say.
            derived = node.name != own and any(each.data for each in given)
            return Reach(data=1) if derived else _NOTHING
        reach = _NOTHING
        for each in given:
            reach = reach.joined(each.used)
        return reach.joined(self._through_inputs(node, reached))

    def _through_inputs(self, node: Ref, reached: Mapping[Ref, Reach]) -> Reach:
        """How the records came into a run or an evaluation itself."""
        if node.kind not in (_RUN, _EVALUATION):
            return _NOTHING
        record = self._record(node)
        reach = _NOTHING
        for used in record["inputs"] if node.kind == _RUN else [record["data"]]:
            data = reached.get(Ref(used.get("selection") or used["version"]), _NOTHING).data
            trained = node.kind == _RUN and used["role"] == InputRole.TRAIN
            reach = reach.joined(Reach(train=data) if trained else Reach(held_out=data))
        return reach

    def _item(self, node: Ref, reached: Mapping[Ref, Reach], graph: _Graph, concerned: Reach, at: int) -> Json:
        reach = reached[node]
        duty, because = (None, None) if concerned == _NOTHING else self._duty(node, concerned, at)
        return {
            "reference": node,
            "kind": identifying(node)[0],
            "owner": self._owner(node),
            "distance": graph.distance[node],
            "role": reach.role,
            "certain": reach.certain,
            "path": [str(each) for each in _path(node, reached, graph)],
            "duty": duty,
            "because": because,
        }

    def _duty(self, node: Ref, reach: Reach, at: int) -> tuple[str | None, str]:
        """What the owner of an artifact has to do; nothing where it is a deployment that has ended."""
        if node.kind == _DEPLOYMENT:
            end = self._heights.first("deployment-end", {"deployment": node.name})
            if end is not None and end.block < at:
                return None, "It has ended."
        return _duty(node, reach)

    def _version(self, held: InVersion, references: Sequence[bytes], *, named: bool) -> Json:
        shown = held.positions[:MOST_RECORDS]
        ids = self._places.ids(held, references) if named else {}
        return {
            "version": held.version,
            "certain": held.known,
            "count": len(held.positions),
            "records": [{"index": index, **({"id": ids[index]} if index in ids else {})} for index in shown],
            "selections": len(held.selections),
        }

    def _beyond(self, version: Ref, at: int) -> Json:
        """How many artifacts lie below a version, looked at or not; nobody knows while the lineage is being read."""
        try:
            count = self._lineage.reached(version, DOWN, as_of=at, depth=None, cursor=None, limit=1)["count"]
        except Unavailable:
            count = None
        return {"version": version, "count": count}

    def _is_there(self, reference: Ref, at: int) -> bool:
        return self._heights.cited(reference, at) is not None

    def _owner(self, node: Ref) -> str:
        return str(self._record(node)["owner"])

    def _record(self, node: Ref) -> Json:
        kind, where = identifying(node)
        return dict(self._catalogue.get(kind, node, **where)["record"])


def _path(node: Ref, reached: Mapping[Ref, Reach], graph: _Graph) -> list[Ref]:
    """One way from an artifact up to a version that holds the records, which its word follows from."""
    path = [node]
    while len(path) < LONGEST_PATH and path[-1] not in graph.versions:
        here = path[-1]
        parents = [each for each in graph.above.get(here, ()) if reached.get(each, _NOTHING) != _NOTHING]
        if not parents:
            break
        role = reached[here].role
        # A run has an edge to its selection and to that one's version: the nearer to the records comes later.
        path.append(max(parents, key=lambda each: (reached[each].role == role, each.kind == "selection", each)))
    return path


def _duty(node: Ref, reach: Reach) -> tuple[str, str]:
    """What the owner of an artifact has to do, as a word and as a sentence."""
    sure = "" if reach.certain else " It cannot be ruled out, as far as this gateway knows."
    match node.kind, reach.role:
        case "selection", _:
            return "stop-using", "It holds records of the subjects: make a new one from the map in force." + sure
        case ArtifactKind.DATASET_VERSION, _:
            return "leave-out", "It was derived from a version that holds records of the subjects." + sure
        case "run", "train":
            return "stop-using", "It trained on records of the subjects: do not train on that selection again." + sure
        case "run", _:
            return "stop-using", "It held records of the subjects out: do not use that selection again." + sure
        case ArtifactKind.MODEL_VERSION, "train":
            because = "Records of the subjects were in the training split of what it was made from."
            return "retrain-or-document", because + sure
        case ArtifactKind.MODEL_VERSION, _:
            return "re-evaluate", "Records of the subjects were held out, and did not reach training." + sure
        case "deployment", "train":
            because = (
                "The model in use there was trained on records of the subjects: put another in its place, or end it."
            )
            return "replace-or-stop", because + sure
        case "deployment", _:
            because = "The model in use there was chosen or measured with records of the subjects."
            return "re-evaluate", because + sure
        case _:
            return "re-evaluate", "It rests on records of the subjects, or on what was trained on them." + sure


def _duties(of: Ref, owner: str, items: Iterable[Json], versions: Collection[Ref]) -> list[Json]:
    """What each organisation has to do, and how often; `versions` hold records that nobody may use any more."""
    counts: dict[tuple[str, str], list[str]] = {}
    if versions:
        counts[owner, "leave-out"] = [of]
    for item in items:
        if item["duty"] is not None:
            counts.setdefault((item["owner"], item["duty"]), []).append(item["reference"])
    return [
        {"organisation": organisation, "duty": duty, "count": len(found), "first": found[0]}
        for (organisation, duty), found in sorted(counts.items())
    ]
