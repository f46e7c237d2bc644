# SPDX-License-Identifier: Apache-2.0
"""A channel configuration's tree as a flat map, the form in which updates are compared with it and laid over it.

Keys are Fabric's: `[Group]  /Channel/Application`, `[Value]  /Channel/Orderer/BatchSize`,
`[Policy] /Channel/Application/Admins`. They are in the refusals that clients read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fabric_protos.common import configtx_pb2

__all__ = ["ROOT", "Element", "MalformedTree", "check_name", "flatten", "rebuild"]

ROOT = "Channel"
_GROUP, _VALUE, _POLICY = "[Group]  ", "[Value]  ", "[Policy] "
_LEGAL = re.compile(r"[a-zA-Z0-9.-]+")
_LONGEST = 249
_DEEPEST = 16
_UNOWNED_BECOME = "Admins"
_MODERN = f"{_VALUE}/{ROOT}/Orderer/Capabilities"


class MalformedTree(ValueError):
    """The tree has an element with an illegal name, is too deep, or lacks an element that a group above it names."""


@dataclass(frozen=True, slots=True)
class Element:
    """One group, value or policy, and the names of the groups above it, from the root down."""

    path: tuple[str, ...]
    name: str
    message: Any
    """A `ConfigGroup`, `ConfigValue` or `ConfigPolicy`."""

    @property
    def version(self) -> int:
        """How often the element was changed."""
        return int(self.message.version)

    @property
    def mod_policy(self) -> str:
        """Which policy a change must satisfy: absolute, or relative to the group in which the element stands."""
        return str(self.message.mod_policy)

    @property
    def is_group(self) -> bool:
        """Whether it is a group; a group's policies are looked up in the group itself."""
        return isinstance(self.message, configtx_pb2.ConfigGroup)

    @property
    def key(self) -> str:
        """The element's key in the flat map."""
        kinds = {configtx_pb2.ConfigGroup: _GROUP, configtx_pb2.ConfigValue: _VALUE}
        return kinds.get(type(self.message), _POLICY) + "/".join(("", *self.path, self.name))


def flatten(root: Any) -> dict[str, Element]:
    """Every element below and including the root group, by key; raises `MalformedTree`."""
    return {element.key: element for element in _walk(root, (), ROOT)}


def rebuild(elements: Mapping[str, Element]) -> Any:
    """The root `ConfigGroup` that these elements make up; what no group names is left out. Raises `MalformedTree`."""
    root = _rebuild(elements, (), ROOT)
    if _MODERN in elements:  # channels of release 1.0 had elements without an owner, which nobody could ever change
        _own(root)
    return root


def check_name(name: str) -> None:
    """Accept the name of an element; raises `MalformedTree`."""
    if not name:
        raise MalformedTree("config ID illegal, cannot be empty")
    if len(name) > _LONGEST:
        raise MalformedTree(f"config ID illegal, cannot be longer than {_LONGEST}")
    if name in (".", ".."):
        raise MalformedTree(f"name '{name}' for config ID is not allowed")
    if not _LEGAL.fullmatch(name):
        raise MalformedTree(f"config ID '{name}' contains illegal characters")


def _walk(group: Any, path: tuple[str, ...], name: str) -> Iterator[Element]:
    if len(path) > _DEEPEST:
        raise MalformedTree(f"/{'/'.join(path)} is nested too deeply")
    yield _checked(Element(path, name, group))
    below = (*path, name)
    for key in sorted(group.groups):
        yield from _walk(group.groups[key], below, key)
    for leaves in (group.values, group.policies):
        for key in sorted(leaves):
            yield _checked(Element(below, key, leaves[key]))


def _checked(element: Element) -> Element:
    try:
        check_name(element.name)
    except MalformedTree as error:
        raise MalformedTree(f"illegal characters in key: {element.key}: {error}") from error
    return element


def _rebuild(elements: Mapping[str, Element], path: tuple[str, ...], name: str) -> Any:
    found = _required(elements, _GROUP, path, name)
    group = configtx_pb2.ConfigGroup(version=found.version, mod_policy=found.mod_policy)
    below = (*path, name)
    for key in found.groups:
        group.groups[key].CopyFrom(_rebuild(elements, below, key))
    for key in found.values:
        group.values[key].CopyFrom(_required(elements, _VALUE, below, key))
    for key in found.policies:
        group.policies[key].CopyFrom(_required(elements, _POLICY, below, key))
    return group


def _required(elements: Mapping[str, Element], kind: str, path: tuple[str, ...], name: str) -> Any:
    key = kind + "/".join(("", *path, name))
    if key not in elements:
        raise MalformedTree(f"missing element {key}")
    return elements[key].message


def _own(group: Any) -> None:
    owned = [group, *group.values.values(), *group.policies.values()]
    for element in owned:
        element.mod_policy = element.mod_policy or _UNOWNED_BECOME
    for lower in group.groups.values():
        _own(lower)
