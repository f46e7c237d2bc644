# SPDX-License-Identifier: Apache-2.0
"""The update that turns one channel configuration into another, as Fabric's `configtxlator compute_update` makes it.

The read set names the versions of what the update builds on, the write set what shall be. An element that changes
is in the write set at the next version. Of a group whose members change every member is named in both sets, with
its version alone where it stays as it is; of any other group only what changes below it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fabric_protos.common import configtx_pb2
from fabric_protos.common.configtx_pb2 import ConfigGroup

__all__ = ["NothingChanges", "compute_update"]


class NothingChanges(ValueError):
    """The two configurations do not differ: there is nothing to sign."""


def compute_update(
    channel_id: str, original: configtx_pb2.Config, updated: configtx_pb2.Config
) -> configtx_pb2.ConfigUpdate:
    """The update from `original` to `updated`, whose versions are ignored; raises `NothingChanges`."""
    read, write, changed = _compare_groups(original.channel_group, updated.channel_group)
    if not changed:
        raise NothingChanges("no differences detected between original and updated config")
    return configtx_pb2.ConfigUpdate(channel_id=channel_id, read_set=read, write_set=write)


@dataclass(slots=True)
class _Sides:
    """What one kind of member (groups, values or policies) gives to the two sets."""

    read: dict[str, Any] = field(default_factory=dict)
    write: dict[str, Any] = field(default_factory=dict)
    same: dict[str, Any] = field(default_factory=dict)
    """Members that stay; they are named only when others come or go."""
    membership: bool = False
    """Whether members came or went."""


def _compare_groups(original: ConfigGroup, updated: ConfigGroup) -> tuple[ConfigGroup, ConfigGroup, bool]:
    """Read set, write set, and whether anything differs."""
    sides = {
        "policies": _compare_leaves(original.policies, updated.policies, _new_policy, _same_policy),
        "values": _compare_leaves(original.values, updated.values, _new_value, _same_value),
        "groups": _compare_members(original.groups, updated.groups),
    }
    read, write = ConfigGroup(version=original.version), ConfigGroup(version=original.version)
    itself = any(side.membership for side in sides.values()) or original.mod_policy != updated.mod_policy
    if itself:
        write.version += 1
        write.mod_policy = updated.mod_policy
    for kind, side in sides.items():
        kept = side.same if itself else {}
        _fill(getattr(read, kind), side.read | kept)
        _fill(getattr(write, kind), side.write | kept)
    return read, write, itself or any(side.write for side in sides.values())


def _compare_leaves(
    original: Any, updated: Any, make: Callable[[Any, int], Any], same: Callable[[Any, Any], bool]
) -> _Sides:
    sides = _Sides(membership=set(original) != set(updated))
    for name in updated:
        if name not in original:
            sides.write[name] = make(updated[name], 0)
        elif same(original[name], updated[name]):
            sides.same[name] = type(original[name])(version=original[name].version)
        else:
            sides.write[name] = make(updated[name], original[name].version + 1)
    return sides


def _compare_members(original: Any, updated: Any) -> _Sides:
    sides = _Sides(membership=set(original) != set(updated))
    for name in updated:
        if name not in original:
            _, added, _ = _compare_groups(ConfigGroup(), updated[name])
            added.version = 0
            added.mod_policy = updated[name].mod_policy
            sides.write[name] = added
            continue
        read, write, changed = _compare_groups(original[name], updated[name])
        if changed:
            sides.read[name], sides.write[name] = read, write
        else:
            sides.same[name] = read
    return sides


def _new_value(value: Any, version: int) -> Any:
    return configtx_pb2.ConfigValue(version=version, mod_policy=value.mod_policy, value=value.value)


def _same_value(one: Any, other: Any) -> bool:
    return bool(one.mod_policy == other.mod_policy and one.value == other.value)


def _new_policy(policy: Any, version: int) -> Any:
    made = configtx_pb2.ConfigPolicy(version=version, mod_policy=policy.mod_policy)
    if policy.HasField("policy"):
        made.policy.CopyFrom(policy.policy)
    return made


def _same_policy(one: Any, other: Any) -> bool:
    return bool(
        one.mod_policy == other.mod_policy
        and one.HasField("policy") == other.HasField("policy")
        and one.policy == other.policy
    )


def _fill(members: Any, wanted: dict[str, Any]) -> None:
    for name, member in wanted.items():
        members[name].CopyFrom(member)
