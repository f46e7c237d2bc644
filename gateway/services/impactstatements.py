# SPDX-License-Identifier: Apache-2.0
"""The impact of a withdrawal as a signed statement: what a controller gives to those who have to do something.

It is an in-toto Statement v1 in a DSSE envelope, signed with the key of the organisation's own user. Its subjects are
the version of the consent map and the versions that hold the records, by their roots. It has subjects' references and
the positions of their records, and no ids.
"""

from typing import Final

from chaincode.domain.canonical import encode
from chaincode.domain.evidence import STATEMENT_TYPE
from chaincode.domain.values import Name, Ref
from gateway.services.artifacts import Speaker
from gateway.services.catalogue import Catalogue
from gateway.services.consenting import Consents
from gateway.services.envelopes import sign_statement
from gateway.services.impact import Impacts
from gateway.services.ports import Clock, Json, Signer
from gateway.services.references import identifying

IMPACT_PREDICATE: Final = "https://pedigree.example/impact-report/v1"
"""The predicate type; it serves as an identifier and is not an address."""
MOST_SIGNED: Final = 250
"""How many artifacts a statement names; all are counted."""


class ImpactStatements:
    """Signs what a withdrawal comes to."""

    def __init__(
        self,
        impacts: Impacts,
        consents: Consents,
        catalogue: Catalogue,
        signer: Signer,
        speaker: Speaker,
        clock: Clock,
    ) -> None:
        self._impacts = impacts
        self._consents = consents
        self._catalogue = catalogue
        self._signer = signer
        self._speaker = speaker
        self._clock = clock

    def of_subject(self, dataset: Name, subject: str, *, as_of: int | None = None) -> Json:
        """The signed impact of one subject, by the controller's own id; raises as `Impacts.of_subject` does."""
        references = [self._consents.reference(dataset, subject)]
        found = self._impacts.of(dataset, references, as_of=as_of, limit=MOST_SIGNED, named=False)
        predicate = {
            "channel": self._speaker.channel,
            "genesis": self._speaker.genesis,
            "organisation": self._speaker.organisation,
            "made_at": int(self._clock() * 1_000),
            **{name: value for name, value in found.items() if name != "next"},
        }
        statement: Json = {
            "_type": STATEMENT_TYPE,
            "subject": self._subjects(dataset, found),
            "predicateType": IMPACT_PREDICATE,
            "predicate": predicate,
        }
        return sign_statement(self._signer, encode(statement))

    def _subjects(self, dataset: Name, found: Json) -> list[Json]:
        state = found["map"]
        named = [] if state is None else [(f"consent-map-version:{dataset}:{state['number']}", state["root"])]
        for each in found["versions"]:
            kind, where = identifying(Ref(each["version"]))
            record = self._catalogue.get(kind, each["version"], **where)["record"]
            named.append((each["version"], record["root"]))
        return [{"name": str(name), "digest": {"sha256": str(root)}} for name, root in named]
