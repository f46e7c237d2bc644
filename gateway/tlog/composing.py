# SPDX-License-Identifier: Apache-2.0
"""A policy made of the members' keys, and what a policy says in words: whose word is enough.

The members of a policy that is made here have a name each. A member's word is the cosignature of any of its keys, and
the word of so many members is the quorum. Where mirrors are asked for as well, the quorum is both: so many members, and
so many members' mirrors (c2sp.org/tlog-mirror), which have keys of their own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.tlog import policy
from gateway.tlog.errors import MalformedKey, MalformedPolicy, shown
from gateway.tlog.keys import Algorithm, Verifier
from gateway.tlog.policy import Group, Log, Policy, Witness

QUORUM: Final = "members"
"""The name of the group of all members."""
MIRRORS: Final = "mirrors"
"""That of the group of all mirrors."""
BOTH: Final = "members-and-mirrors"
LARGEST_KEYS: Final = 64 << 10
"""Bytes of a file of a member's keys."""
_NAME: Final = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_URL: Final = re.compile(r"https?://[!-~]{1,500}")
_SPOKEN: Final = {
    Algorithm.ED25519: "Ed25519",
    Algorithm.COSIGNATURE_ED25519: "Ed25519",
    Algorithm.COSIGNATURE_ML_DSA_44: "ML-DSA-44",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a consortium, whose gateway is a log and a witness."""

    name: str
    log: Verifier
    cosigners: tuple[Verifier, ...]
    url: str | None = None
    """Where its log and its witness are, such as ``https://lab.example/v1/log``."""
    mirrors: tuple[Verifier, ...] = ()
    """The keys that it cosigns with what it mirrors."""


def member(name: str, vkeys: Iterable[str], url: str | None = None, mirrors: Iterable[str] = ()) -> Member:
    """A member by its keys as text; raises `MalformedPolicy`, which names the member.

    The key of a log has the algorithm 01. The others are those that it cosigns with. `mirrors` are keys of its mirror.
    """
    if _NAME.fullmatch(name) is None or name in (QUORUM, policy.NONE.decode()):
        raise MalformedPolicy(
            f"{shown(name)} cannot be the name of a member: it has 1 to 100 letters, digits, dots, dashes and"
            f" underscores, begins with a letter or a digit, and is not {QUORUM!r} or 'none'"
        )
    if url is not None and _URL.fullmatch(url) is None:
        raise MalformedPolicy(f"the address {shown(url)} of {name} does not begin with http:// or https://")
    try:
        found = [Verifier.parse(each) for each in vkeys]
        mirroring = tuple([Verifier.parse(each) for each in mirrors])
    except MalformedKey as exc:
        raise MalformedPolicy(f"a key of {name}: {exc}") from None
    logs = [each for each in found if each.algorithm is Algorithm.ED25519]
    cosigners = tuple([each for each in found if each.algorithm is not Algorithm.ED25519])
    if len(logs) != 1:
        raise MalformedPolicy(f"{name} has {len(logs)} keys of a log (Ed25519, algorithm 01), and it needs one")
    if not cosigners:
        raise MalformedPolicy(f"{name} has no key that it cosigns with (algorithm 04 or 06)")
    return Member(name, logs[0], cosigners, url, mirroring)


def keys_of(content: bytes) -> list[str]:
    """The keys in a file of them: one a line; empty lines and those that begin with ``#`` say nothing."""
    if len(content) > LARGEST_KEYS:
        raise MalformedPolicy(f"a file of keys has at most {LARGEST_KEYS >> 10} KiB")
    try:
        lines = [line.strip() for line in content.decode().split("\n")]
    except UnicodeDecodeError:
        raise MalformedPolicy("a file of keys is UTF-8 text") from None
    return [line for line in lines if line and not line.startswith("#")]


def compose(members: Sequence[Member], threshold: int, mirrors: int = 0) -> Policy:
    """The policy that so many of these members must have cosigned a log of theirs; raises `MalformedPolicy`.

    With `mirrors`, so many of the members' mirrors must have cosigned it too.
    """
    if not members:
        raise MalformedPolicy("a policy has one member at least")
    if not 1 <= threshold <= len(members):
        raise MalformedPolicy(f"{threshold} of {len(members)} members cannot agree: it is a number from 1 to"
                              f" {len(members)}")  # fmt: skip
    mirroring = [each for each in members if each.mirrors]
    if mirrors and not 1 <= mirrors <= len(mirroring):
        raise MalformedPolicy(f"{mirrors} of {len(mirroring)} mirrors cannot agree: name the keys of more")
    witnesses: dict[bytes, Witness] = {}
    speaking = [_speaker(each.name, each.cosigners, each.url, witnesses) for each in members]
    groups = [*speaking, Group(QUORUM.encode(), threshold, tuple([group.name for group in speaking]))]
    if mirrors:
        stating = [_speaker(f"{each.name}-mirror", each.mirrors, each.url, witnesses) for each in mirroring]
        groups += [
            *stating,
            Group(MIRRORS.encode(), mirrors, tuple([group.name for group in stating])),
            Group(BOTH.encode(), 2, (QUORUM.encode(), MIRRORS.encode())),
        ]
    logs = tuple([Log(each.log, None if each.url is None else each.url.encode()) for each in members])
    return policy.parse(Policy(logs, witnesses, tuple(groups), groups[-1].name).format())


def _speaker(name: str, keys: Sequence[Verifier], url: str | None, witnesses: dict[bytes, Witness]) -> Group:
    """The group of somebody's keys, each of which is added to the witnesses; any of them is that one's word."""
    own = [f"{name}-{number}".encode() for number, _ in enumerate(keys, 1)]
    for each, verifier in zip(own, keys, strict=True):
        if each in witnesses:
            raise MalformedPolicy(f"the name {shown(each)} is defined already")
        witnesses[each] = Witness(each, verifier, None if url is None else url.encode())
    return Group(name.encode(), 1, tuple(own))


def words(said: Policy) -> list[str]:
    """What a policy says, in sentences: which logs are believed, and whose word is enough."""
    if said.logs:
        origins = list(dict.fromkeys(each.verifier.name for each in said.logs))
        found = [
            f"Believed {_are(origins, 'is the log', 'are the logs')}, by the {_count(len(said.logs), 'key')} here."
        ]
    else:
        found = ["No log is believed: the policy names none."]
    if said.quorum is None:
        return [*found, "The log's own word is enough: no cosignature is asked for."]
    groups = {each.name: each for each in said.groups}
    if said.quorum not in groups:
        return [*found, f"The word of {_named(said, said.quorum)} is enough, and needed.", *_idle(said, {said.quorum})]
    quorum = groups[said.quorum]
    found.append(f"Enough is the word of {_so_many(quorum)}.")
    reached, left = {said.quorum}, list(quorum.members)
    while left:
        name = left.pop(0)
        reached.add(name)
        if name in groups:
            left += groups[name].members
            found.append(f"{name.decode('utf-8', 'replace')} speaks by {_parts(said, groups[name])}.")
    if not _is_nested(quorum, groups):
        least = quorum.threshold
        found.append(f"{least} who lie together {_be(least)} believed; {_silent(len(quorum.members) - least)}.")
    return [*found, *_idle(said, reached)]


def _is_nested(quorum: Group, groups: Mapping[bytes, Group]) -> bool:
    """Whether those whose word is asked for are groups of groups, so that their number says nothing of how many lie."""
    return any(part in groups for each in quorum.members if each in groups for part in groups[each].members)


def _so_many(group: Group) -> str:
    names = [each.decode("utf-8", "replace") for each in group.members]
    if group.threshold == len(names):
        return names[0] if len(names) == 1 else f"all {len(names)} of {_list(names, 'and')}"
    return f"any {group.threshold} of the {len(names)} {_list(names, 'and')}"


def _parts(said: Policy, group: Group) -> str:
    names = [_named(said, each) for each in group.members]
    if group.threshold == len(names):
        return _list(names, "and")
    if group.threshold == 1:
        return _list(names, "or")
    return f"any {group.threshold} of {_list(names, 'and')}"


def _named(said: Policy, name: bytes) -> str:
    """A group by its name; a witness by that and its key."""
    spoken = name.decode("utf-8", "replace")
    if (witness := said.witnesses.get(name)) is None:
        return spoken
    key = witness.verifier
    return f"{spoken} ({_SPOKEN[key.algorithm]} key {key.key_id.hex()} of {shown(key.name)})"


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _silent(count: int) -> str:
    return f"{count} who {_be(count)} silent {_be(count)} not missed" if count else "each of them is needed"


def _idle(said: Policy, reached: set[bytes]) -> list[str]:
    """Those that the quorum does not come to."""
    names = [*said.witnesses, *(each.name for each in said.groups)]
    idle = [each.decode("utf-8", "replace") for each in names if each not in reached]
    return [f"Named, and counted for nothing: {_list(idle, 'and')}."] if idle else []


def _are(names: Sequence[str], one: str, many: str) -> str:
    return f"{one if len(names) == 1 else many} {_list([shown(each) for each in names], 'and')}"


def _count(count: int, what: str) -> str:
    return what if count == 1 else f"{count} {what}s"


def _list(names: Sequence[str], word: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
