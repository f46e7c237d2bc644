# SPDX-License-Identifier: Apache-2.0
"""Approving and committing chaincode definitions, over the keys of rule L-9 and with the refusals of rule L-7.

Everything is read through the simulator, so that a definition which changes meanwhile makes the transaction
conflict. What other organisations approved is known by its hashes only.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256

from network.embedded import definitions
from network.embedded.channelconfig import ChannelConfig
from network.embedded.definition_rules import check_collections_kept, check_definition, difference, with_defaults
from network.embedded.definitions import LIFECYCLE, Definition
from network.embedded.simulator import Simulator

__all__ = [
    "LifecycleError",
    "all_approved",
    "approve",
    "approved_by",
    "commit",
    "committed",
    "committed_one",
    "latest_approved",
    "mismatches",
    "package_of",
    "readiness",
]

_METADATA = definitions.metadata_key("")
_MISMATCHES = {
    "EndorsementInfo": "EndorsementInfo (Check the Version, InitRequired, EndorsementPlugin)",
    "ValidationInfo": "ValidationInfo (Check the ValidationPlugin, ValidationParameter)",
    "Collections": "Collections",
}


class LifecycleError(ValueError):
    """The definition cannot be approved or committed as asked; the text is that of rule L-7."""


# -- reading -----------------------------------------------------------------------------------------------------


def _public(simulator: Simulator) -> Callable[[str], bytes | None]:
    return lambda key: simulator.get(LIFECYCLE, key) or None


def _private(simulator: Simulator, msp_id: str) -> Callable[[str], bytes | None]:
    collection = definitions.implicit_collection(msp_id)
    return lambda key: simulator.get_private(LIFECYCLE, collection, key) or None


def committed_one(simulator: Simulator, name: str) -> Definition | None:
    """The committed definition of `name`, None when there is none."""
    return definitions.decode(name, _public(simulator))


def committed(simulator: Simulator) -> Iterator[Definition]:
    """All committed definitions by name."""
    # The prefix ends with a slash, and the next character after it ends the range.
    for key, _ in simulator.range(LIFECYCLE, _METADATA, _METADATA[:-1] + "0"):
        definition = committed_one(simulator, key.removeprefix(_METADATA))
        if definition is not None:
            yield definition


def approved_by(simulator: Simulator, msp_id: str, name: str, sequence: int) -> Definition | None:
    """What this peer's own organisation approved for a sequence, None if nothing."""
    return definitions.decode_approval(name, sequence, _private(simulator, msp_id))


def latest_approved(simulator: Simulator, msp_id: str, name: str) -> int:
    """The highest sequence that the organisation approved, as far as it may matter: the next one or the present one."""
    current = _current_sequence(simulator, name)
    return current + 1 if approved_by(simulator, msp_id, name, current + 1) is not None else current


def all_approved(simulator: Simulator, msp_id: str) -> Iterator[Definition]:
    """All approvals of this peer's own organisation."""
    collection = definitions.implicit_collection(msp_id)
    keys = [key for key, _ in simulator.range_private(LIFECYCLE, collection, _METADATA, _METADATA[:-1] + "0")]
    for key in keys:
        name, _, sequence = key.removeprefix(_METADATA).rpartition("#")
        definition = approved_by(simulator, msp_id, name, int(sequence))
        if definition is not None:
            yield definition


def package_of(simulator: Simulator, msp_id: str, name: str, sequence: int) -> str:
    """The package that this peer's own organisation runs for a sequence; empty when it only validates."""
    return definitions.decode_source(name, sequence, _private(simulator, msp_id)) or ""


def _current_sequence(simulator: Simulator, name: str) -> int:
    definition = committed_one(simulator, name)
    return 0 if definition is None else definition.sequence


def mismatches(simulator: Simulator, config: ChannelConfig, definition: Definition) -> dict[str, list[str]]:
    """For each organisation what of `definition` it did not approve; empty where it agrees (rule L-6)."""
    entries = definitions.approval_entries(definition)
    found: dict[str, list[str]] = {}
    for msp_id in config.application_orgs.values():
        collection = definitions.implicit_collection(msp_id)
        differing = [
            key
            for key, value in entries.items()
            if simulator.get_private_hash(LIFECYCLE, collection, key) != sha256(value).digest()
        ]
        named = [_MISMATCHES.get(key.rpartition("/")[2]) for key in differing]
        found[msp_id] = [name for name in named if name is not None]
        if differing and not found[msp_id]:
            found[msp_id] = ["ChaincodeParameters"]
    return found


# -- writing -----------------------------------------------------------------------------------------------------


def approve(simulator: Simulator, config: ChannelConfig, msp_id: str, requested: Definition, package_id: str) -> None:
    """Approve a definition for this peer's organisation; raises LifecycleError or InvalidDefinitionError."""
    definition = with_defaults(requested)
    check_definition(definition, config)
    present = committed_one(simulator, definition.name)
    current = 0 if present is None else present.sequence
    _check_sequence(definition.sequence, current)
    if present is not None:
        check_collections_kept(definition, present)
    chosen = definitions.decode_source(definition.name, definition.sequence, _private(simulator, msp_id))
    if present is not None and definition.sequence == current:
        different = difference(present, definition)
        redefined = f"attempted to redefine the current committed sequence ({current}) for namespace {definition.name}"
        if different is not None:
            raise LifecycleError(f"{redefined} with different parameters: {different}")
        if chosen == package_id:
            raise LifecycleError(redefined)
    else:
        earlier = approved_by(simulator, msp_id, definition.name, definition.sequence)
        if earlier is not None and difference(earlier, definition) is None and chosen == package_id:
            raise LifecycleError(
                f"attempted to redefine uncommitted sequence ({definition.sequence}) "
                f"for namespace {definition.name} with unchanged content"
            )
    collection = definitions.implicit_collection(msp_id)
    read = _private(simulator, msp_id)
    entries = definitions.approval_entries(definition)
    entries |= definitions.source_entries(definition.name, definition.sequence, package_id)
    for key, value in entries.items():
        if read(key) != value:
            simulator.put_private(LIFECYCLE, collection, key, value)


def _check_sequence(requested: int, current: int) -> None:
    if requested <= 0:
        raise LifecycleError(f"requested sequence is {requested}, but first definable sequence number is 1")
    if requested < current:
        raise LifecycleError(f"currently defined sequence {current} is larger than requested sequence {requested}")
    if requested > current + 1:
        raise LifecycleError(
            f"requested sequence {requested} is larger than the next available sequence number {current + 1}"
        )


def readiness(simulator: Simulator, config: ChannelConfig, requested: Definition) -> dict[str, list[str]]:
    """Who does not yet agree to commit `requested`; raises LifecycleError or InvalidDefinitionError."""
    definition = with_defaults(requested)
    check_definition(definition, config)
    _check_next(simulator, definition)
    return mismatches(simulator, config, definition)


def commit(simulator: Simulator, config: ChannelConfig, msp_id: str, requested: Definition) -> None:
    """Put a definition in force; raises LifecycleError or InvalidDefinitionError.

    This peer agrees only if its own organisation approved the same; whether enough organisations agree is decided
    by the endorsement policy of the life cycle.
    """
    definition = with_defaults(requested)
    if readiness(simulator, config, requested)[msp_id]:
        raise LifecycleError(f"chaincode definition not agreed to by this org ({msp_id})")
    present = committed_one(simulator, definition.name)
    if present is not None:
        check_collections_kept(definition, present)
    read = _public(simulator)
    for key, value in definitions.committed_entries(definition).items():
        # Unchanged fields keep their versions (rule L-9).
        if read(key) != value:
            simulator.put(LIFECYCLE, key, value)


def _check_next(simulator: Simulator, definition: Definition) -> None:
    expected = _current_sequence(simulator, definition.name) + 1
    if definition.sequence != expected:
        raise LifecycleError(
            f"requested sequence is {definition.sequence}, but new definition must be sequence {expected}"
        )
