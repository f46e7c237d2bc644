# SPDX-License-Identifier: Apache-2.0
"""Evidence of transactions as strangers may write it: it has a verdict or one refusal, and nothing false is proven."""

from __future__ import annotations

import base64
import copy
import random
from typing import TYPE_CHECKING, Any

import pytest
from sampleorder import File, SampleChannel

from gateway.verifier.transactions import RefutedEvidence, verify_transaction

if TYPE_CHECKING:
    from fuzz.conftest import Fuzzing

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 2**63, 2**200, 1.5, float("nan"), "", "0", "\ud800", "\u202e", "\x00", "VALID",
    "x" * 5_000, [], {}, [[]], "00" * 32, "=", "Cg==", "CgFwEgFz",
)  # fmt: skip


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> tuple[SampleChannel, File]:
    """A channel that was configured again, and a file about the second transaction of three."""
    channel = SampleChannel(tmp_path_factory.mktemp("world"))
    channel.reconfigure(lambda _: None)
    return channel, channel.evidence(channel.add(*(channel.envelope(channel.draft()) for _ in range(3))), 1)


def containers(value: Any) -> list[Any]:
    found = [value]
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            found += containers(item)
    return found


def damaged(chance: random.Random, text: str) -> str:
    """What is in base64, with bytes changed, left out, doubled or put elsewhere."""
    try:
        content = bytearray(base64.b64decode(text, validate=True))
    except ValueError:
        return text
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(content) + 1)
        match chance.randrange(4):
            case 0 if content:
                content[at % len(content)] ^= 1 << chance.randrange(8)
            case 1:
                del content[at : at + chance.choice((1, 2, 50, 5_000))]
            case 2:
                content[at:at] = chance.randbytes(chance.choice((1, 3, 40)))
            case _:
                content[at:at] = content[chance.randrange(len(content) + 1) :][:200]
    return base64.b64encode(content).decode()


def altered(chance: random.Random, document: File) -> File:
    """The document with one to three places changed."""
    for _ in range(chance.randint(1, 3)):
        inner = chance.choice([each for each in containers(document) if each] or [document])
        places = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not places:
            continue
        place = chance.choice(places)
        match chance.randrange(5):
            case 0:
                del inner[place]
            case 1:
                inner[place] = copy.deepcopy(inner[chance.choice(places)])
            case 2:
                inner[place] = chance.choice(ODD)
            case 3 if isinstance(inner, dict):
                inner[chance.choice(("more", "number", "reference"))] = chance.choice(ODD)
            case _:
                inner[place] = damaged(chance, inner[place]) if isinstance(inner[place], str) else inner[place]
    return document


@pytest.mark.parametrize("trusting", [True, False])
def test_a_file_has_a_verdict_or_is_refused(
    fuzzing: Fuzzing, genuine: tuple[SampleChannel, File], trusting: bool
) -> None:
    channel, file = genuine
    trusted = channel.genesis_hash if trusting else None
    whole = verify_transaction(file, trusted=trusted)
    for chance in fuzzing.rounds("transaction-evidence"):
        document = altered(chance, copy.deepcopy(file))
        try:
            verdict = verify_transaction(document, trusted=trusted)
        except RefutedEvidence as exc:
            refused = str(exc)
        else:
            refused = ""
        if refused:
            assert refused.isprintable()
            assert len(refused) < 4_000
            continue
        assert verdict.text().replace("\n", "").isprintable()
        # Nothing but what the first file proved, of one of the three transactions that were ordered.
        assert verdict.written == whole.written
        if trusting:
            assert verdict.endorsers == whole.endorsers
            assert verdict.transaction.transaction_id == document["transaction"]["id"]
            assert verdict.block.hash == whole.block.hash
