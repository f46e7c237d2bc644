# SPDX-License-Identifier: Apache-2.0
"""Applications that an organisation lets do or see a part of what it may itself (F7)."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from gateway.demo.consortium import Consortium
from gateway.demo.containers import Containers
from gateway.demo.processes import command
from pedigree import Pedigree, PedigreeError

_names = itertools.count(1)
Let = Callable[..., Pedigree]


@pytest.fixture
def let(consortium: Consortium | Containers) -> Iterator[Let]:
    """Registers an application of the lab's with what it is let do, and connects as it."""
    if isinstance(consortium, Containers):
        pytest.skip("the gateway's files are in its container")
    with ExitStack() as closing:

        def made(*words: str) -> Pedigree:
            name = f"permissions-{next(_names)}"
            argv = [command("pedigree"), "keys", "add", name, "--data", str(consortium.data("lab")), *words]
            key = subprocess.run(argv, capture_output=True, check=True, text=True).stdout.strip()
            return closing.enter_context(Pedigree(consortium.url("lab"), key, ca_certificate=consortium.ca_certificate))

        yield made


@pytest.fixture
def name() -> str:
    return f"permissions-model-{next(_names)}"


def refused(action: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(PedigreeError) as found:
        action()
    return found.value.status, found.value.code


@pytest.mark.story("F7", "A client does what it was let do, and can ask what that is")
@pytest.mark.story("F7", "What a client was not let do is refused, and the scope that it needs is named",
                   refused="scope-missing")  # fmt: skip
def test_a_client_does_what_it_was_let_do(let: Let, clients: dict[str, Pedigree], name: str) -> None:
    assert clients  # there is a policy, without which nothing is recorded
    recorder, dashboard = let("--scope", "records:read", "--scope", "records:write"), let("--scope", "records:read")
    assert recorder.whoami()["scopes"] == ["records:read", "records:write"]
    recorded = recorder.register_model(name, title="Permitted")
    dashboard.at_least(recorded.block + 1)
    assert dashboard.model(name)["record"]["owner"] == "LabMSP"
    assert refused(lambda: dashboard.register_model(f"{name}-2", title="Not permitted")) == (403, "scope-missing")
    assert refused(lambda: recorder.transactions()) == (403, "scope-missing")
    assert refused(lambda: recorder.transaction(recorded.transaction_id)) == (403, "scope-missing")


@pytest.mark.story("F7", "A client that may see some owners' records cannot tell that there are others")
@pytest.mark.story("F7", "What may tell of everybody's records is refused to who may see some owners' alone",
                   refused="beyond-owners")  # fmt: skip
def test_a_client_sees_the_records_of_some_owners(let: Let, clients: dict[str, Pedigree], name: str) -> None:
    clients["lab"].register_model(f"{name}-ours", title="Ours")
    clients["hospital"].register_model(f"{name}-theirs", title="Theirs")
    height = max(each.height for each in clients.values())
    partner, colleague = let("--role", "reader", "--only-owner", "LabMSP"), let("--role", "reader")
    for client in (partner, colleague):
        client.at_least(height)
    assert colleague.model(f"{name}-theirs")["record"]["owner"] == "HospitalMSP"
    assert partner.model(f"{name}-ours")["record"]["owner"] == "LabMSP"
    assert refused(lambda: partner.model(f"{name}-theirs")) == refused(lambda: partner.model(f"{name}-none"))
    assert [each["record"]["model"] for each in partner.iterate_models(name=name)] == [f"{name}-ours"]
    assert (partner.models(name=name)["count"], colleague.models(name=name)["count"]) == (1, 2)
    for action in (
        lambda: partner.search(name),
        lambda: partner.lineage(f"model:{name}-ours"),
        lambda: partner.transactions(),
    ):
        assert refused(action) == (403, "beyond-owners")
