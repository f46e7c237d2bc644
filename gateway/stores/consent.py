# SPDX-License-Identifier: Apache-2.0
"""Consent maps in a database: references of subjects, the values of every version, and what may become the next.

Of a tree the database has its leaves and the hashes of its 16,384 lower subtrees, each with the version since which it
holds; what is above them is computed when a version is first asked for, and the last used ones stay in memory.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from chaincode.domain.sparsemerkle import HASH, VALUE
from gateway.services.statusmaps import Draft, MapBehind, MapState, MapUnknown, Step, SubjectsElsewhere
from gateway.services.statustree import Crown, Leaf, Path, Sketch, bounds, subtrees
from gateway.services.trees import batches
from gateway.stores import consentwrites
from gateway.stores.sql import Dialect, SqlDatabase, Statement, upsert

_ASKED = 500
"""Subjects that are looked up at once."""
_WRITTEN = 10_000
"""Rows that are written or read at once; others write in between."""
_CROWNS = 8
"""Versions whose upper part stays in memory, about 1.3 MB each."""
_SKETCHES = 4
"""Drafts whose subtrees stay in memory, up to 8 MB each, so that following the ledger need not compute them again."""
_CACHE = 64 << 10
"""KiB of pages that the writing connection keeps: references come in no order, and each is near no other."""
# SQLite gives the other columns of the row that has the maximum; PostgreSQL has words for the first row of each group.
_LEAVES = Statement(
    "SELECT reference, value, max(version) FROM leaf WHERE map = ? AND reference BETWEEN ? AND ? AND version <= ? "
    "GROUP BY reference ORDER BY reference",
    "SELECT DISTINCT ON (reference) reference, value, version FROM leaf "
    "WHERE map = ? AND reference BETWEEN ? AND ? AND version <= ? ORDER BY reference, version DESC",
)
_VALUES = Statement(
    "SELECT reference, value, max(version) FROM leaf WHERE map = ? AND version <= ? AND reference IN ({}) "
    "GROUP BY reference",
    "SELECT DISTINCT ON (reference) reference, value, version FROM leaf "
    "WHERE map = ? AND version <= ? AND reference IN ({}) ORDER BY reference, version DESC",
)
_SUBTREES = Statement(
    "SELECT place, hash, size, max(version) FROM subtree WHERE map = ? AND version <= ? GROUP BY place ORDER BY place",
    "SELECT DISTINCT ON (place) place, hash, size, version FROM subtree "
    "WHERE map = ? AND version <= ? ORDER BY place, version DESC",
)
_ADOPT = "let this one adopt a copy of the other's store (`pedigree consent adopt`)"


class ConsentStore:
    """Implements `services.statusmaps.StatusMaps`."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database
        if database.dialect is Dialect.SQLITE:
            database.write(lambda connection: connection.execute(f"PRAGMA cache_size=-{_CACHE}"))
        self._crowns: OrderedDict[tuple[int, int], Crown] = OrderedDict()
        self._sketches: OrderedDict[tuple[int, int, bytes], Sketch] = OrderedDict()
        self._lock = threading.Lock()
        self._building = threading.Lock()

    # -- subjects ----------------------------------------------------------------------------------------------

    def references(self, dataset: str, subjects: Sequence[str]) -> list[bytes]:
        key = self._dataset(dataset)
        known: dict[str, bytes] = {}
        asked = list(dict.fromkeys(subjects))
        for start in range(0, len(asked), _ASKED):
            self._look_up(known, key, asked[start : start + _ASKED])
        missing = [subject for subject in asked if subject not in known]
        if missing:
            self._refuse_strangers(dataset, key)
            drawn = secrets.token_bytes(HASH * len(missing))
            known |= {subject: drawn[at * HASH : (at + 1) * HASH] for at, subject in enumerate(missing)}
            insert = "INSERT INTO subject VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            written = self._write_many(insert, [(key, subject, known[subject]) for subject in missing])
            # Another thread may have drawn one in between; then that one holds.
            for start in range(0, len(missing) if written < len(missing) else 0, _ASKED):
                self._look_up(known, key, missing[start : start + _ASKED])
        return [known[subject] for subject in subjects]

    def _look_up(self, known: dict[str, bytes], key: int, subjects: Sequence[str]) -> None:
        places = ", ".join("?" * len(subjects))
        select = f"SELECT id, reference FROM subject WHERE dataset = ? AND id IN ({places})"  # noqa: S608 - places
        known.update(self._database.reader().execute(select, (key, *subjects)).fetchall())

    def reference(self, dataset: str, subject: str) -> bytes | None:
        row = self._one(
            "SELECT reference FROM subject JOIN dataset ON dataset = key WHERE name = ? AND id = ?", (dataset, subject)
        )
        return None if row is None else row[0]

    # -- opening ---------------------------------------------------------------------------------------------

    def collect(self, dataset: str, values: Iterable[Leaf]) -> None:
        key = self._dataset(dataset)
        insert = "INSERT INTO said (dataset, reference, value) VALUES (?, ?, ?)"
        for batch in batches(values, _WRITTEN):
            rows = [(key, reference, _checked(value)) for reference, value in batch]
            self._write_many(insert, rows)

    def collected(self, dataset: str) -> Iterator[Leaf]:
        key = self._dataset(dataset)
        self._merge()
        select = "SELECT reference, value FROM collected WHERE dataset = ? AND reference > ? ORDER BY reference LIMIT ?"
        after = b""
        while rows := self._database.reader().execute(select, (key, after, _WRITTEN)).fetchall():
            yield from rows
            after = rows[-1][0]

    def _merge(self) -> None:
        """Bring what was said to its references, many of them at once and in their order."""
        while self._one("SELECT 1 FROM said LIMIT 1", ()) is not None:
            self._database.write(consentwrites.merge_said)

    def build(self, dataset: str) -> MapState:
        key = self._dataset(dataset)
        with self._building:
            found = self._database.write(partial(consentwrites.begin_map, key, consentwrites.OWN.of(self._database)))
            crown = Crown.over(self._written(found, self.collected(dataset)))
            built, state = self._database.write(partial(consentwrites.finish_map, key, found, crown))
        self._keep((built, 1), crown)
        self._database.shorten_log()
        return state

    def recover(self, living: Collection[int]) -> int:
        """Remove what other gateways of the database were building when they died; how many maps that were.

        Args:
            living: the numbers of those who live; nobody where this gateway is alone, and finds what it left itself.
        """
        if self._database.dialect is Dialect.SQLITE or not living:
            return 0
        # Seldom is there one: asked without a write first.
        if self._one("SELECT 1 FROM map WHERE root IS NULL LIMIT 1", ()) is None:
            return 0
        return self._database.write(partial(consentwrites.forget_builds, living))

    def _written(self, found: int, leaves: Iterable[Leaf]) -> Iterator[tuple[int, bytes, int]]:
        """Write leaves and subtrees as version 1, piece by piece, while the subtrees are taken."""
        leaf = "INSERT INTO leaf VALUES (?, ?, 1, ?)"
        subtree = "INSERT INTO subtree VALUES (?, ?, 1, ?, ?)"

        def kept() -> Iterator[Leaf]:
            for batch in batches(leaves, _WRITTEN):
                rows = [(found, *each) for each in batch]
                self._write_many(leaf, rows)
                yield from batch

        for batch in batches(subtrees(kept()), _WRITTEN):
            rows = [(found, *each) for each in batch]
            self._write_many(subtree, rows)
            yield from batch

    # -- versions --------------------------------------------------------------------------------------------

    def head(self, dataset: str) -> MapState | None:
        found = self._opened(dataset)
        return None if found is None else self._state(*found)

    def state(self, dataset: str, number: int) -> MapState:
        return self._state(self._map(dataset, number), number)

    def values(self, dataset: str, number: int, references: Sequence[bytes]) -> list[bytes | None]:
        found = self._map(dataset, number)
        known: dict[bytes, bytes] = {}
        for start in range(0, len(references), _ASKED):
            asked = references[start : start + _ASKED]
            select = _VALUES.of(self._database).format(", ".join("?" * len(asked)))
            rows = self._database.reader().execute(select, (found, number, *asked)).fetchall()
            known.update((reference, value) for reference, value, _ in rows)
        return [known.get(each) for each in references]

    def find(self, dataset: str, number: int, reference: bytes) -> Path:
        found = self._map(dataset, number)
        return self._crown(found, number).path(reference, partial(self._leaves, found, number))

    def history(self, dataset: str, reference: bytes, limit: int) -> tuple[list[tuple[int, bytes]], int]:
        found, head = self._opened(dataset) or (self._map(dataset, 1), 1)
        of = "FROM leaf WHERE map = ? AND reference = ? AND version <= ?"
        select = f"SELECT version, value {of} ORDER BY version DESC LIMIT ?"
        rows = self._database.reader().execute(select, (found, reference, head, limit)).fetchall()
        (count,) = self._one(f"SELECT count(*) {of}", (found, reference, head))
        return rows, count

    def draft(self, dataset: str, base: int, changes: Sequence[Leaf]) -> Draft:
        found = self._map(dataset, base)
        sketch = self._sketch(found, base)
        steps = []
        for reference, value in changes:
            steps.append(Step(reference, sketch.change(reference, _checked(value)), value))
        if any(step.before is None for step in steps):
            self._refuse_strangers(dataset, self._dataset(dataset))
        row = (found, base, sketch.crown.root, b"".join(reference + value for reference, value in changes))
        insert = upsert("draft", "map, base, root, changes", "map, base, root")
        self._database.write(lambda connection: connection.execute(insert, row))
        with self._lock:
            self._sketches[found, base, sketch.crown.root] = sketch
            while len(self._sketches) > _SKETCHES:
                self._sketches.popitem(last=False)
        return Draft(self._state(found, base), tuple(steps), sketch.crown.root, sketch.crown.size)

    def drafted(self, dataset: str, base: int, root: bytes) -> Sequence[Leaf] | None:
        return self._drafted(self._map(dataset, base), base, root)

    def settle(self, dataset: str, number: int, root: bytes, changes: Sequence[Leaf] | None = None) -> MapState:
        if number == 1:
            return self._open(dataset, root)
        found, head = self._opened(dataset) or (0, 0)
        if number <= head:
            return self._same(self._state(found, number), root, dataset)
        drafted = self._drafted(found, head, root) if number == head + 1 else None
        changes = drafted or changes
        if not changes or number != head + 1:
            raise _behind(dataset, head, number)
        with self._lock:
            sketch = self._sketches.pop((found, head, root), None)
        new: list[bytes] = []
        if sketch is None:
            sketch = self._sketch(found, head)
            new = [each[0] for each in changes if sketch.change(*each).value_of(each[0]) is None]
        if sketch.crown.root != root:
            raise _behind(dataset, head, number)
        self._merge()
        strangers = [] if drafted else self._strangers(dataset, new)
        self._database.write(
            partial(consentwrites.write_version, found, number, changes, list(sketch.changed), sketch.crown, strangers)
        )
        self._keep((found, number), sketch.crown)
        return self._same(self._state(found, number), root, dataset)

    def _strangers(self, dataset: str, references: Sequence[bytes]) -> list[bytes]:
        """Those of the references whose subjects are not known here; each subject of the data set is looked at."""
        if not references:
            return []
        places = ", ".join("?" * len(references))
        select = f"SELECT reference FROM subject WHERE dataset = ? AND reference IN ({places})"  # noqa: S608 - places
        found = self._database.reader().execute(select, (self._dataset(dataset), *references)).fetchall()
        return sorted(set(references) - {reference for (reference,) in found})

    def _refuse_strangers(self, dataset: str, key: int) -> None:
        """Refuse that a subject is given a reference, or a place in the map, where it may have one already."""
        (count,) = self._one("SELECT count(*) FROM stranger WHERE dataset = ?", (key,))
        if count:
            raise SubjectsElsewhere(
                f"another gateway of yours brought {count} subjects into the consent map of {dataset} whose ids are "
                f"not here, so nobody can be added: a new id may be one of theirs; {_ADOPT}",
                dataset=dataset,
                count=count,
            )

    def _open(self, dataset: str, root: bytes) -> MapState:
        opened = self._opened(dataset)
        if opened is not None:
            return self._same(self._state(opened[0], 1), root, dataset)
        row = self._one(
            "SELECT map.key, size FROM map JOIN dataset ON dataset.key = dataset WHERE name = ? AND root = ?",
            (dataset, root),
        )
        if row is None:
            raise _behind(dataset, 0, 1)
        self._merge()
        self._database.write(partial(consentwrites.open_map, row[0], root, row[1]))
        return MapState(1, root, row[1])

    def _same(self, state: MapState, root: bytes, dataset: str) -> MapState:
        if state.root != root:
            raise MapBehind(
                f"version {state.number} of the consent map of {dataset} is another one on the ledger",
                dataset=dataset,
                number=state.number,
            )
        return state

    # -- what is under a version -------------------------------------------------------------------------------

    def _sketch(self, found: int, number: int) -> Sketch:
        return Sketch(self._crown(found, number), partial(self._leaves, found, number))

    def _leaves(self, found: int, number: int, place: int) -> list[Leaf]:
        rows = self._database.reader().execute(_LEAVES.of(self._database), (found, *bounds(place), number)).fetchall()
        return [(reference, value) for reference, value, _ in rows]

    def _crown(self, found: int, number: int) -> Crown:
        with self._lock:
            crown = self._crowns.get((found, number))
        if crown is None:
            rows = self._database.reader().execute(_SUBTREES.of(self._database), (found, number)).fetchall()
            crown = Crown.over((place, digest, size) for place, digest, size, _ in rows)
            if crown.root != (wanted := self._state(found, number)).root:
                raise MapUnknown("the stored consent map no longer leads to its root", number=wanted.number)
            self._keep((found, number), crown)
        return crown

    def _keep(self, which: tuple[int, int], crown: Crown) -> None:
        with self._lock:
            self._crowns[which] = crown
            self._crowns.move_to_end(which)
            while len(self._crowns) > _CROWNS:
                self._crowns.popitem(last=False)

    def _drafted(self, found: int, base: int, root: bytes) -> Sequence[Leaf] | None:
        row = self._one("SELECT changes FROM draft WHERE map = ? AND base = ? AND root = ?", (found, base, root))
        if row is None:
            return None
        size = HASH + VALUE
        pieces = [row[0][at : at + size] for at in range(0, len(row[0]), size)]
        return [(piece[:HASH], piece[HASH:]) for piece in pieces]

    # -- rows ------------------------------------------------------------------------------------------------

    def _dataset(self, name: str) -> int:
        select = "SELECT key FROM dataset WHERE name = ?"
        row = self._one(select, (name,))
        if row is None:
            insert = "INSERT INTO dataset (name) VALUES (?) ON CONFLICT DO NOTHING"
            self._database.write(lambda connection: connection.execute(insert, (name,)))
            row = self._one(select, (name,))
        return int(row[0])

    def _opened(self, dataset: str) -> tuple[int, int] | None:
        """The map that the ledger is known to hold, and the last of its versions."""
        row = self._one(
            "SELECT map.key, head FROM map JOIN dataset ON dataset.key = dataset WHERE name = ? AND head > 0",
            (dataset,),
        )
        return None if row is None else (row[0], row[1])

    def _map(self, dataset: str, number: int) -> int:
        found = self._opened(dataset)
        if found is None or not 1 <= number <= found[1]:
            raise MapUnknown(
                f"this gateway holds no version {number} of a consent map of {dataset}", dataset=dataset, number=number
            )
        return found[0]

    def _state(self, found: int, number: int) -> MapState:
        root, size = self._one("SELECT root, size FROM version WHERE map = ? AND number = ?", (found, number))
        return MapState(number, root, size)

    def _write_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Run a statement for each row, and return how many rows it wrote."""
        count: int = self._database.write(lambda connection: connection.executemany(statement, rows).rowcount)
        return count

    def _one(self, query: str, values: tuple[Any, ...]) -> Any:
        return self._database.reader().execute(query, values).fetchone()


def _behind(dataset: str, head: int, number: int) -> MapBehind:
    return MapBehind(
        f"the ledger holds version {number} of the consent map of {dataset}, which another gateway of yours made, and "
        f"nothing leads this one from version {head} to it: {_ADOPT}",
        dataset=dataset,
        number=number,
        held=head,
    )


def _checked(value: bytes) -> bytes:
    if len(value) != VALUE:
        raise ValueError(f"a value has {VALUE} bytes, not {len(value)}")
    return value
