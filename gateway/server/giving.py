# SPDX-License-Identifier: Apache-2.0
"""What gives data out, put together: what publishes it, what delivers it, and the lists of who read it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gateway.rest import deliveries, publications, reads
from gateway.rest.routing import View
from gateway.services.accesses import Accesses
from gateway.services.catalogue import Catalogue
from gateway.services.datasets import Datasets
from gateway.services.deliveries import Deliveries, Members, Place
from gateway.services.deliverylog import DeliveryLog
from gateway.services.fetching import FetchStatements
from gateway.services.ports import Signer
from gateway.services.publications import Publishing, Vault
from gateway.services.readlistings import ReadListings
from gateway.services.readlog import ReadLog
from gateway.services.reads import Reads
from gateway.services.readstatements import ListStatements
from gateway.services.selected import SelectedRecords


@dataclass(frozen=True, slots=True)
class Giving:
    """What a gateway has to give data out, and the operations on it by name."""

    publishing: Publishing
    deliveries: Deliveries
    listings: ReadListings
    views: Mapping[str, View]

    @classmethod
    def of(
        cls,
        committed: Datasets,
        selected: SelectedRecords,
        catalogue: Catalogue,
        vault: Vault,
        logs: tuple[DeliveryLog, ReadLog],
        members: Members,
        signer: Signer,
        place: Place,
    ) -> Self:
        """Put it together.

        Args:
            logs: of deliveries, and of reads that have no transaction each.
            signer: of statements with which this organisation fetches from others.
        """
        log, read = logs
        publishing = Publishing(committed, selected, vault, time.time)
        given = Deliveries(
            catalogue, vault, log, Reads(catalogue, read, time.time), members, publishing.bundle, place, time.time
        )
        listings = ReadListings(catalogue, read, members, place, time.time)
        return cls(
            publishing,
            given,
            listings,
            {
                **publications.views(publishing, selected),
                **deliveries.views(given, FetchStatements(catalogue, signer, place, time.time)),
                **reads.views(
                    listings,
                    ListStatements(signer, place, time.time),
                    Accesses(catalogue, read, listings, place.organisation),
                ),
            },
        )
