# SPDX-License-Identifier: Apache-2.0
"""Trust policies (c2sp.org/tlog-policy): which logs are accepted, and which witnesses must have cosigned.

A policy is a file of lines; items are separated by spaces and tabs, and ``#`` begins a comment line::

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <member>...
    quorum <name>|none

Witnesses and groups share one space of names, which are octets and no text. A group and the quorum name what lines
above them define, and a name is a member of one group at most, so that nobody is counted twice.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from pedigree.tlog.errors import MalformedKey, MalformedPolicy, shown
from pedigree.tlog.keys import LOG_ALGORITHMS, WITNESS_ALGORITHMS, Algorithm, Verifier
from pedigree.tlog.notes import Key

LARGEST: Final = 1 << 20
"""Bytes of a policy."""
MOST_LINES: Final = 4_096
"""Lines that are not empty and no comments."""
NONE: Final = b"none"
"""The quorum of a policy that asks for no cosignature."""
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Log:
    """A log whose checkpoints are accepted; its key's name is the origin."""

    verifier: Verifier
    url: bytes | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness by the name that the policy gives it."""

    name: bytes
    verifier: Verifier
    url: bytes | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and groups, so many of which must have cosigned."""

    name: bytes
    threshold: int
    members: tuple[bytes, ...]


@dataclass(frozen=True)
class Policy:
    """What makes a checkpoint valid: a signature of any of the logs, and a quorum of the witnesses."""

    logs: tuple[Log, ...]
    witnesses: Mapping[bytes, Witness]
    groups: tuple[Group, ...]
    """Each after those that are its members."""
    quorum: bytes | None
    """The name of a witness or a group; None where no cosignature is asked for."""

    def satisfied(self, cosigned: Collection[bytes]) -> bool:
        """Whether the witnesses of these names are the quorum."""
        if self.quorum is None:
            return True
        witnessed = {name for name in cosigned if name in self.witnesses}
        for group in self.groups:
            if sum(member in witnessed for member in group.members) >= group.threshold:
                witnessed.add(group.name)
        return self.quorum in witnessed

    def logs_of(self, origin: str) -> list[Verifier]:
        """The keys of the log with this origin."""
        return [log.verifier for log in self.logs if log.verifier.name == origin]

    @cached_property
    def verifiers(self) -> Mapping[Key, Verifier]:
        """The keys of all logs and witnesses, by what signature lines say of them."""
        found = [log.verifier for log in self.logs] + [each.verifier for each in self.witnesses.values()]
        return {verifier.key: verifier for verifier in found}

    def format(self) -> bytes:
        """A file with this policy."""
        return b"".join(
            [
                *(_line(b"log", each.verifier.vkey.encode(), each.url) for each in self.logs),
                *(
                    _line(b"witness", each.name, each.verifier.vkey.encode(), each.url)
                    for each in self.witnesses.values()
                ),
                *(_line(b"group", each.name, b"%d" % each.threshold, *each.members) for each in self.groups),
                _line(b"quorum", NONE if self.quorum is None else self.quorum),
            ]
        )


def parse(text: bytes) -> Policy:
    """The policy in a file; raises `MalformedPolicy`, which names the line."""
    if len(text) > LARGEST:
        raise MalformedPolicy(f"the policy has more than {LARGEST >> 20} MiB")
    found = _Reading()
    number = 0
    for at, line in enumerate(text.split(b"\n"), start=1):
        control = _CONTROL.search(line)
        if control is not None:
            raise MalformedPolicy(f"line {at} of the policy has the control character U+{control[0][0]:04X}")
        items = line.replace(b"\t", b" ").strip(b" ").split(b" ")
        items = [item for item in items if item]
        if not items or items[0].startswith(b"#"):
            continue
        number += 1
        if number > MOST_LINES:
            raise MalformedPolicy(f"the policy has more than {MOST_LINES} lines")
        try:
            found.read(items)
        except (MalformedKey, MalformedPolicy) as exc:
            raise MalformedPolicy(f"line {at} of the policy: {exc}") from None
    if not found.quorums:
        raise MalformedPolicy("the policy has no quorum line")
    quorum = found.quorums[0]
    return Policy(tuple(found.logs), found.witnesses, tuple(found.groups), None if quorum == NONE else quorum)


@dataclass
class _Reading:
    """What the lines above have defined."""

    logs: list[Log] = field(default_factory=list)
    witnesses: dict[bytes, Witness] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    quorums: list[bytes] = field(default_factory=list)
    _names: set[bytes] = field(default_factory=lambda: {NONE})
    _free: set[bytes] = field(default_factory=set)
    """Names that are members of no group yet."""
    _publics: set[tuple[str, bytes]] = field(default_factory=set)
    """The keys of logs and those of witnesses."""
    _keys: dict[Key, bytes] = field(default_factory=dict)

    def read(self, items: list[bytes]) -> None:
        """Take a line in; raises `MalformedPolicy` and `MalformedKey`."""
        match items:
            case [b"log", vkey] | [b"log", vkey, _]:
                self._log(Log(Verifier.parse(vkey), *items[2:]))
            case [b"witness", name, vkey] | [b"witness", name, vkey, _]:
                self._witness(Witness(name, Verifier.parse(vkey), *items[3:]))
            case [b"group", name, threshold, _, *_]:
                self._group(name, threshold, tuple(items[3:]))
            case [b"quorum", name]:
                self._quorum(name)
            case [(b"log" | b"witness" | b"group" | b"quorum") as keyword, *_]:
                raise MalformedPolicy(
                    f"it has {len(items) - 1} items behind {shown(keyword)}, which is not right there"
                )
            case _:
                raise MalformedPolicy(f"{shown(items[0])} is none of 'log', 'witness', 'group' and 'quorum'")

    def _log(self, log: Log) -> None:
        _expect(log.verifier, LOG_ALGORITHMS, "logs")
        self._refuse_same(log.verifier, "log")
        self.logs.append(log)

    def _witness(self, witness: Witness) -> None:
        _expect(witness.verifier, WITNESS_ALGORITHMS, "witnesses")
        self._refuse_same(witness.verifier, "witness")
        self._define(witness.name)
        self.witnesses[witness.name] = witness

    def _group(self, name: bytes, threshold: bytes, members: tuple[bytes, ...]) -> None:
        for member in members:
            if member not in self._free:
                known = member in self._names and member != NONE
                why = "is a member of a group already" if known else "is not defined on a line above"
                raise MalformedPolicy(f"the member {shown(member)} {why}")
            self._free.remove(member)
        self._define(name)
        wanted = {b"all": len(members), b"any": 1}.get(threshold)
        if wanted is None:
            wanted = int(threshold) if _NUMBER.fullmatch(threshold) else 0
            if not 1 <= wanted <= len(members):
                raise MalformedPolicy(
                    f"{shown(threshold)} is none of 'all', 'any' and a number from 1 to {len(members)}"
                )
        self.groups.append(Group(name, wanted, members))

    def _quorum(self, name: bytes) -> None:
        if self.quorums:
            raise MalformedPolicy("it is the second quorum line")
        if name not in self._names:
            raise MalformedPolicy(f"the quorum {shown(name)} is not defined on a line above")
        self.quorums.append(name)

    def _define(self, name: bytes) -> None:
        if name in self._names:
            raise MalformedPolicy(f"the name {shown(name)} is defined already")
        self._names.add(name)
        self._free.add(name)

    def _refuse_same(self, verifier: Verifier, what: str) -> None:
        if (what, verifier.public) in self._publics:
            raise MalformedPolicy(f"the key of {shown(verifier.name)} is that of another {what} already")
        if self._keys.setdefault(verifier.key, verifier.public) != verifier.public:
            raise MalformedPolicy(f"another key has the name {shown(verifier.name)} and the same hash")
        self._publics.add((what, verifier.public))


def _expect(verifier: Verifier, algorithms: frozenset[Algorithm], what: str) -> None:
    if verifier.algorithm not in algorithms:
        raise MalformedPolicy(f"the key of {shown(verifier.name)} is of an algorithm that {what} do not sign with")


def _line(*items: bytes | None) -> bytes:
    return b" ".join([item for item in items if item is not None]) + b"\n"
