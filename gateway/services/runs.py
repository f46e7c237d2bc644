# SPDX-License-Identifier: Apache-2.0
"""Training runs, signed: a run's statement is SLSA provenance, and its signature is recorded with it.

It is signed with the key of the organisation's own user, which is also the creator of the transaction. The envelope is
made again of the record whenever it is asked for.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace

from chaincode.domain import codec
from chaincode.domain.errors import ParentMissing, RecordNotFound
from chaincode.domain.evidence import PAYLOAD_TYPE
from chaincode.domain.slsa import Run, run_statement
from chaincode.domain.training import RecordRun, RunSignature, TrainingRun
from chaincode.domain.values import Blob, Command, Digest, Name, OrgId, Ref, Text, run_ref
from gateway.services.artifacts import Speaker
from gateway.services.envelopes import sign_statement
from gateway.services.ports import Category, Json, PortError, Signer
from gateway.services.reading import LEDGER, READ_MODEL, Reader
from gateway.services.recording import Recorder, command_from
from gateway.services.submitter import Answer, Intent

_FUNCTION = "run:record"


class NotSigned(PortError):
    """A run that was recorded before runs were signed has no statement."""

    code = "run-not-signed"
    category = Category.NOT_FOUND


class Runs:
    """Signs runs as they are recorded, and makes their statements."""

    def __init__(self, recorder: Recorder, reader: Reader, signer: Signer, speaker: Speaker) -> None:
        self._recorder = recorder
        self._reader = reader
        self._signer = signer
        self._speaker = speaker

    def record(self, intent: Intent, body: Json) -> Answer:
        """Sign the statement of a run, and record the run with it; of a body with a `signature` that one is taken."""
        if body.get("signature") is not None:
            # Signed by a caller that keeps its own key; the chaincode checks it like ours.
            return self._recorder.record(intent, _FUNCTION, body)
        command = command_from(_FUNCTION, self._recorder.worded(_FUNCTION, body))
        if not isinstance(command, RecordRun):
            raise TypeError(f"{_FUNCTION} takes no {type(command).__name__}")

        def build() -> Command:
            return replace(command, signature=self._signed(command))

        return self._recorder.submit(intent, _FUNCTION, build)

    def statement(self, name: Name, source: str = READ_MODEL) -> Json:
        """The signed statement of a run in its envelope; raises `NotSigned` and `RecordNotFound`."""
        run = codec.from_plain(self._reader.read(run_ref(name), source)["record"])
        if not isinstance(run, TrainingRun):
            raise TypeError(f"{run_ref(name)} is a {type(run).__name__}")
        signature = run.signature
        if signature is None:
            raise NotSigned(f"{run_ref(name)} was recorded before runs were signed.")
        payload = self._payload(run, run.owner, signature.genesis, self._digests(run, source))
        keyid = {} if signature.keyid is None else {"keyid": str(signature.keyid)}
        return {
            "payload": b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": str(signature.sig), **keyid}],
        }

    def _signed(self, command: RecordRun) -> RunSignature:
        genesis = Digest.parse(self._speaker.genesis)
        payload = self._payload(command, self._speaker.organisation, genesis, self._digests(command, READ_MODEL))
        (signature,) = sign_statement(self._signer, payload)["signatures"]
        return RunSignature(Blob.parse(signature["sig"]), Text(signature["keyid"]), genesis)

    def _payload(self, run: Run, organisation: str, genesis: Digest | None, parents: Mapping[Ref, Digest]) -> bytes:
        return run_statement(
            run, parents, organisation=OrgId(organisation), channel=self._speaker.channel, genesis=genesis
        )

    def _digests(self, run: Run, source: str) -> dict[Ref, Digest]:
        """The digests of the versions that a run began from."""
        return {parent: self._digest(run, parent, source) for parent in run.parents}

    def _digest(self, run: Run, parent: Ref, source: str) -> Digest:
        try:
            return Digest.parse(self._reader.read(parent, source)["record"]["digest"])
        except (RecordNotFound, KeyError):
            if source == LEDGER:
                raise ParentMissing(run_ref(run.run), parent) from None
        return self._digest(run, parent, LEDGER)  # the read model may not have come to it yet
