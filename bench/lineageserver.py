# SPDX-License-Identifier: Apache-2.0
"""A program: a gateway over a read model that is there already, behind the real server and without a ledger.

It takes the folder of the read model, and prints one JSON object with its port and the key of a reader.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gateway.delivery.witnesses import HttpWitnesses
from gateway.fabric.msp import Msps
from gateway.rest.bodies import Spool
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.server.grantees import ChannelMembers
from gateway.server.options import Options
from gateway.server.service import Parts, Place, Service, assemble
from gateway.server.serving import GatewayServer
from gateway.server.settings import NetworkFile, Organisation, Settings
from gateway.server.transparency import LogParts
from gateway.services.attempts import Limits
from gateway.services.ports import LedgerBlock, Signature, Unavailable
from gateway.services.publications import Vault
from gateway.stores.auditlog import AuditLogStore
from gateway.stores.blobfiles import BlobFiles
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database
from gateway.stores.deliveries import DeliveryStore
from gateway.stores.heads import HeadStore
from gateway.stores.keys import KeyStore
from gateway.stores.logtree import LogTree
from gateway.stores.members import MemberStore
from gateway.stores.readmodel import ReadModelStore
from gateway.stores.reads import ReadStore
from gateway.stores.records import RecordStore
from gateway.stores.recordseals import RecordSeals
from gateway.stores.reminders import KeptReminders
from gateway.stores.sealed import SealedStore
from gateway.stores.submissions import SubmissionStore
from gateway.stores.transactions import TransactionStore

_GENESIS = "0" * 64


class _NoLedger:
    """No peer is there: nothing is recorded, and no block comes after those that were read."""

    def __init__(self, height: int) -> None:
        self._height = height
        self._stopped = threading.Event()

    def __getattr__(self, name: str) -> Any:
        raise Unavailable(f"there is no ledger here to {name} with", code="no-ledger")

    def outcome(self, transaction_id: str, timeout: float) -> None:
        """Nothing is known of any transaction."""

    def tip(self) -> int:
        return self._height

    def blocks(
        self, start: int, stop: Callable[[], bool], *, previous_hash: str | None, config: bytes | None = None
    ) -> Iterator[LedgerBlock]:
        while not stop():
            self._stopped.wait(1.0)
        yield from ()

    def interrupt(self) -> None:
        self._stopped.set()


class _NoSigner:
    """Nothing is signed here."""

    def sign(self, message: bytes) -> Signature:
        raise Unavailable("there is no key here to sign with", code="no-key")


def make(folder: Path) -> tuple[Service, str]:
    """The gateway, and the key of a reader."""
    with ExitStack() as resources:
        opened = {}
        for name in ("readmodel", "submissions", "records", "consent", "members", "keys", "log", "sealed", "audit"):
            opened[name] = Database.open(folder / f"{name}.db", name, durable=False)
            resources.callback(opened[name].close)
        readmodel = ReadModelStore(opened["readmodel"])
        ledger, keys = _NoLedger(readmodel.height()), KeyStore(opened["keys"])
        parts = Parts(
            ledger=ledger,
            elsewhere=ledger,
            blocks=ledger,
            readmodel=readmodel,
            submissions=SubmissionStore(opened["submissions"], _GENESIS),
            reminders=KeptReminders(opened["submissions"], _GENESIS),
            records=RecordStore(
                opened["records"], RecordSeals(opened["records"], lambda: KeyEncryptionKeys([bytes(32)]))
            ),
            maps=ConsentStore(opened["consent"]),
            memberships=MemberStore(opened["members"]),
            keys=keys,
            signer=_NoSigner(),
            transactions=TransactionStore(opened["readmodel"]),
            secret=os.urandom(32),
            log=LogParts.of(
                LogTree(opened["readmodel"]), HeadStore(opened["log"]), folder / "log-keys", ("pedigree", "LabMSP"),
                folder / "log-policy", HttpWitnesses(),
            ),
            vault=Vault(
                BlobFiles(folder / "blobs"), SealedStore(opened["sealed"]), lambda: KeyEncryptionKeys([bytes(32)])
            ),
            deliveries=DeliveryStore(opened["sealed"]),
            reads=ReadStore(opened["sealed"]),
            audit=AuditLogStore(opened["audit"]),
            grantees=ChannelMembers(Msps, time.time),
        )  # fmt: skip
        service = assemble(
            parts,
            Place("LabMSP", "lab.example", "pedigree", "pedigree", _GENESIS),
            limits=Limits(),
            spool=Spool(folder / "uploads", limit=1 << 20),
            resources=resources.pop_all(),
        )
    return service, keys.add(f"bench-{os.getpid()}", "reader")


def main(folder: Path) -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.WARNING)
    nowhere = folder / "nowhere"
    member = Organisation("lab", "LabMSP", "lab.example", (), nowhere, nowhere, nowhere)
    network = NetworkFile("pedigree", "pedigree", (member,), "OrdererMSP", nowhere, _GENESIS)
    settings = Settings(network, member, folder, port=0, health_port=0, options=Options())
    keys: list[str] = []

    def start(_: Settings) -> Service:
        service, key = make(folder)
        keys.append(key)
        return service

    def announce(api: str, _: str) -> None:
        print(json.dumps({"port": int(api.rpartition(":")[2]), "key": keys[-1]}), flush=True)

    GatewayServer(settings, socket.create_server(("127.0.0.1", 0)), announce, make=start).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
