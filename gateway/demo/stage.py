# SPDX-License-Identifier: Apache-2.0
"""What the steps of the story share: the consortium, a client of each organisation's gateway, and what was found."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console

from gateway.demo.consortium import ORGANISATIONS, Consortium
from gateway.demo.containers import Containers
from gateway.demo.names import Names
from gateway.demo.telling import Telling
from pedigree import Pedigree, Refused

RECORD: Final = "patient-017"
"""The record that is looked at, altered and withdrawn."""


class Stage:
    """Where the story is played."""

    def __init__(self, consortium: Consortium | Containers, console: Console) -> None:
        self.consortium = consortium
        self.console = console
        self.telling = Telling(console)
        self.files = consortium.directory / "files"
        """A folder for each organisation's own."""
        self.records = self.files / "hospital" / "records.csv"
        self.clients: dict[str, Pedigree] = {}
        self.answers: dict[str, Any] = {}
        """What a step found that a later one needs."""
        self.names = Names()

    def connect(self) -> None:
        """Make one client for each organisation's gateway."""
        self.clients = {name: self.consortium.client(name) for name in ORGANISATIONS}

    def choose_names(self) -> None:
        """On a ledger that others use too, take names that are still free there."""
        number = 1
        while self.consortium.shared and self._exists(Names(number).dataset):
            number += 1
        self.names = Names(number)

    def close(self) -> None:
        """Close the clients."""
        for client in self.clients.values():
            client.close()

    def _exists(self, dataset: str) -> bool:
        try:
            self.clients["hospital"].dataset(dataset)
        except Refused:
            return False
        return True
