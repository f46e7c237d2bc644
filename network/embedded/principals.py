# SPDX-License-Identifier: Apache-2.0
"""Which sets of signers would satisfy signature policies, by principals alone (rule G-21, steps 3 and 4)."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, islice, product
from math import prod

from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2

__all__ = ["Principal", "PrincipalSet", "merged_sets", "principal_sets"]

Principal = tuple[int, bytes]
"""Classification and encoded principal."""
PrincipalSet = tuple[Principal, ...]
"""Principals that must be satisfied by as many different signers; sorted, repetitions count."""

MOST_SETS = 4096
"""More ways than this to satisfy a policy are not looked at."""


def principal_sets(
    envelope: policies_pb2.SignaturePolicyEnvelope, possible: Callable[[Principal], bool] = lambda _: True
) -> list[PrincipalSet]:
    """The minimal sets of principals that satisfy a policy, in a fixed order, without those that are not `possible`."""
    principals = [(entry.principal_classification, entry.principal) for entry in envelope.identities]
    found = _expand(envelope.rule, principals, possible)
    return list(dict.fromkeys(found))


def merged_sets(policies: Sequence[Sequence[PrincipalSet]]) -> list[PrincipalSet]:
    """The sets that satisfy every policy; a signer who counts for one policy counts for the others too."""
    if not policies:
        return []
    merged = list(policies[0])
    for sets in policies[1:]:
        merged = _reduced(_merge(one, other) for one, other in islice(product(merged, sets), MOST_SETS))
    return merged


def _expand(
    rule: policies_pb2.SignaturePolicy, principals: Sequence[Principal], possible: Callable[[Principal], bool]
) -> list[PrincipalSet]:
    if rule.WhichOneof("Type") == "signed_by":
        principal = principals[rule.signed_by]
        return [(principal,)] if possible(principal) else []
    needed = int(rule.n_out_of.n)
    parts = [sets for part in rule.n_out_of.rules if (sets := _expand(part, principals, possible))]
    if needed <= 0:
        return [()]
    found: list[PrincipalSet] = []
    for chosen in combinations(parts, needed):
        room = MOST_SETS - len(found)
        if room <= 0:
            break
        found += islice((_sorted(choice) for choice in product(*chosen)), min(room, prod(map(len, chosen))))
    return found


def _sorted(parts: Sequence[PrincipalSet]) -> PrincipalSet:
    return tuple(sorted(principal for part in parts for principal in part))


def _merge(one: PrincipalSet, other: PrincipalSet) -> PrincipalSet:
    """Cover each principal of `other` by one of `one`, taking the stricter of the two; add what is not covered."""
    result, free = list(one), list(range(len(one)))
    for principal in other:
        for covers in (_is_a, _is_covered_by):
            position = next((index for index in free if covers(result[index], principal)), None)
            if position is not None:
                break
        if position is None:
            result.append(principal)
        else:
            free.remove(position)
            result[position] = result[position] if _is_a(result[position], principal) else principal
    return tuple(sorted(result))


def _is_a(stricter: Principal, looser: Principal) -> bool:
    """Whether what satisfies `stricter` satisfies `looser`: the same, or any role and membership of one MSP."""
    if stricter == looser:
        return True
    role = msp_principal_pb2.MSPPrincipal.ROLE
    if stricter[0] != role or looser[0] != role:
        return False
    first, second = msp_principal_pb2.MSPRole.FromString(stricter[1]), msp_principal_pb2.MSPRole.FromString(looser[1])
    member = msp_principal_pb2.MSPRole.MEMBER
    return bool(first.msp_identifier == second.msp_identifier and second.role == member)


def _is_covered_by(looser: Principal, stricter: Principal) -> bool:
    return _is_a(stricter, looser)


def _reduced(sets: Iterator[PrincipalSet]) -> list[PrincipalSet]:
    """Without repetitions and without sets that hold another one."""
    distinct = sorted(dict.fromkeys(sets), key=len)
    kept: list[PrincipalSet] = []
    for candidate in distinct:
        if not any(_holds(candidate, smaller) for smaller in kept):
            kept.append(candidate)
    return kept


def _holds(larger: PrincipalSet, smaller: PrincipalSet) -> bool:
    left = list(larger)
    for principal in smaller:
        if principal not in left:
            return False
        left.remove(principal)
    return True
