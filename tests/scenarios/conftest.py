# SPDX-License-Identifier: Apache-2.0
"""A running consortium for all scenarios, and the words that its organisations act in.

Scenarios share one ledger, as members of a consortium do: every scenario uses names of its own.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from letting import RESEARCH, let_in

from gateway.demo.consortium import Consortium
from gateway.demo.containers import Containers
from gateway.demo.founding import FOUNDING_POLICY, ORIGIN
from pedigree import Pedigree, PedigreeError, Recorded

_names = itertools.count(1)


def pytest_bdd_apply_tag(tag: str, function: Callable[..., object]) -> bool | None:
    """A tag such as @F1 says which feature a scenario shows; its story is its title."""
    if not re.fullmatch(r"F\d+", tag):
        return None
    pytest.mark.story(tag, function.__doc__ or "")(function)
    return True


LAPSE = 12
"""Seconds after which a quarantine by one member lapses here: long beside a step, short beside a story."""


@pytest.fixture(scope="session")
def consortium(ledger: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium | Containers]:
    """Three organisations' programs, as operators start them.

    With PEDIGREE_NETWORK, those of a network's directory that run in containers, which is left as it is found.
    """
    if there := os.environ.get("PEDIGREE_NETWORK"):
        found = Containers.find(Path(there), tmp_path_factory.mktemp("consortium"))
        assert found is not None, f"no containers run for {there}"
        yield found
        return
    running = Consortium(tmp_path_factory.mktemp("consortium"), ledger, any_port=True)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def clients(consortium: Consortium | Containers) -> Iterator[dict[str, Pedigree]]:
    """One application for each organisation."""
    made = {name: consortium.client(name) for name in ("hospital", "lab", "regulator")}
    if not made["hospital"].policies()["items"]:
        founding = {**FOUNDING_POLICY, "taint": {"lapse_seconds": LAPSE}}
        made["hospital"].set_policy(**founding)
        made["regulator"].set_policy(**founding)
    yield made
    for client in made.values():
        client.close()


@dataclass
class World:
    """What a scenario has done so far."""

    clients: dict[str, Pedigree]
    folder: Path
    number: int = field(default_factory=lambda: next(_names))
    recorded: Recorded | None = None
    refusal: PedigreeError | None = None
    proof: dict[str, Any] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)
    """Whose records were committed, in their order."""
    grants: dict[str, str] = field(default_factory=dict)
    """The grant under which the lab has each of the hospital's data, where it has one."""

    @property
    def dataset(self) -> str:
        return f"records-{self.number}"

    @property
    def model(self) -> str:
        return f"model-{self.number}"

    @property
    def data_version(self) -> str:
        return f"dataset-version:{self.dataset}:1"

    @property
    def second_data_version(self) -> str:
        return f"dataset-version:{self.dataset}:2"

    @property
    def model_version(self) -> str:
        return f"model-version:{self.model}:1"

    @property
    def second_version(self) -> str:
        return f"model-version:{self.model}:2"

    def as_(self, organisation: str) -> Pedigree:
        """An organisation's client, which sees all that any organisation recorded so far."""
        client = self.clients[organisation]
        client.at_least(max(other.height for other in self.clients.values()))
        return client

    def did(self, recorded: Recorded) -> Recorded:
        """Remember what was just recorded."""
        self.recorded, self.refusal = recorded, None
        return recorded

    def attempt(self, action: Callable[[], Recorded]) -> None:
        """Do what may be refused; a later step says whether it should have been."""
        self.recorded, self.refusal = None, None
        try:
            self.recorded = action()
        except PedigreeError as refusal:
            self.refusal = refusal

    def register(self, organisation: str, **fields: Any) -> Recorded:
        """Register the scenario's data set."""
        given = {"title": "Records", "licence": "CC-BY-4.0", "origin": ORIGIN, "sensitivity": "internal", **fields}
        return self.as_(organisation).register_dataset(given.pop("name", self.dataset), **given)

    def commit(self, letters: str) -> Recorded:
        """Commit records named by letters."""
        return self.as_("hospital").commit_records(
            self.dataset, records(letters), id_field="id", consent="ConsentGiven", purposes=("model-training",)
        )

    def let_in(self, artifact: str, purpose: str = RESEARCH) -> str:
        """Have the hospital grant the lab access to its data; answers the reference to the grant."""
        self.grants[artifact] = let_in(self.as_("hospital"), artifact, purpose=purpose)
        return self.grants[artifact]

    def run_fields(self, **fields: Any) -> dict[str, Any]:
        """A complete training run over the scenario's data."""
        root = None
        if "inputs" not in fields:
            root = self.as_("lab").dataset_version(self.dataset, 1)["record"]["root"]
        return {
            "code": {"digest": digest("code")},
            "environment": {"digest": digest("environment")},
            "started": 1_700_000_000_000,
            "finished": 1_700_000_060_000,
            "inputs": [{"version": self.data_version, "root": root, "role": "train"}],
            "metrics": [{"name": "accuracy", "value": "0.97"}],
            **fields,
        }

    def files(self, content: str) -> Path:
        """A model's folder with one file."""
        folder = self.folder / f"model-{self.number}-{digest(content)[:8]}"
        folder.mkdir(exist_ok=True)
        (folder / "weights.json").write_text(json.dumps([self.number, content]), encoding="utf-8")
        return folder


def records(letters: str, altered: str = "") -> bytes:
    """A CSV file with one record for each letter."""
    rows = [f"{letter},{ord(letter) + (1 if letter == altered else 0)}" for letter in letters.split(",")]
    return "\n".join(["id,value", *rows, ""]).encode()


def digest(text: str) -> str:
    """A SHA-256 digest to stand for something."""
    return hashlib.sha256(text.encode()).hexdigest()


def reworded(envelope: dict[str, Any], swaps: dict[str, str]) -> dict[str, Any]:
    """An envelope with other words in its statement, under the signature that it had."""
    statement = base64.b64decode(envelope["payload"]).decode()
    for genuine, false in swaps.items():
        statement = statement.replace(genuine, false)
    return {**envelope, "payload": base64.b64encode(statement.encode()).decode()}


@pytest.fixture
def world(clients: dict[str, Pedigree], tmp_path: Path) -> World:
    """A fresh scenario."""
    return World(clients, tmp_path)
