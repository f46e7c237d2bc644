# SPDX-License-Identifier: Apache-2.0
"""A peer that dies, stops, falls behind, is full or lies, under every kind of call, while another one stands by."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from gateway.delivery.blockfeed import FabricBlocks
from gateway.delivery.slots import Kind
from gateway.fabric import Identity, UntrustedResponse
from gateway.fabric.calls import Deadlines
from gateway.services.ports import Forbidden, LedgerMisuse, OutcomeUnknown, Refused, Unavailable

CODE = grpc.StatusCode
FULL = "too many requests for /gateway.Gateway, exceeding concurrency limit (500)"


def refused(site: Any, kind: type[Exception] = Unavailable) -> Any:
    with pytest.raises(kind) as caught:
        site.prepare()
    return caught.value


def committed(site: Any) -> int:
    """How many blocks hold a transaction of ours."""
    return len(site.fakes[0].chain) - 1


def test_the_first_peer_is_used_as_long_as_it_is_well(site: Any) -> None:
    for number in range(3):
        site.record(bytes([number]) * 24)
    assert site.fakes[1].calls == []
    assert committed(site) == 3


def test_a_killed_peer_is_replaced_within_the_call(site: Any) -> None:
    site.record(b"a" * 24)
    site.endpoints[0].kill()
    prepared = site.record(b"b" * 24)
    assert site.ledger.outcome(prepared.transaction_id, 1.0).valid
    assert committed(site) == 2
    assert site.meter.counts["peer_failover"] >= 1


def test_a_transaction_endorsed_at_one_peer_is_submitted_and_asked_for_at_another(site: Any) -> None:
    prepared = site.prepare()
    site.endpoints[0].kill()
    site.ledger.submit(prepared.envelope)
    outcome = site.ledger.outcome(prepared.transaction_id, 1.0)
    assert (outcome.transaction_id, outcome.code) == (prepared.transaction_id, 0)
    assert committed(site) == 1


def test_a_failure_whose_envelope_may_be_ordered_sends_the_same_one_at_the_other_peer(
    site: Any, fail: Callable[..., Any]
) -> None:
    prepared = site.prepare()
    site.fakes[0].failures["Submit"] = fail(CODE.UNAVAILABLE, "Socket closed")
    site.ledger.submit(prepared.envelope)
    sent = [fake.requests[-1].prepared_transaction.SerializeToString() for fake in site.fakes]
    assert sent[0] == sent[1]


def test_what_may_be_ordered_stays_unknown_whatever_the_next_peer_says(site: Any, fail: Callable[..., Any]) -> None:
    prepared = site.prepare()
    site.fakes[0].failures["Submit"] = fail(CODE.UNAVAILABLE, "Socket closed")
    said = ("orderer:7050", "OrdererMSP", "status=FORBIDDEN, info=implicit policy evaluation failed")
    site.fakes[1].failures["Submit"] = fail(CODE.ABORTED, "received unsuccessful response from orderer", said)
    with pytest.raises(OutcomeUnknown):
        site.ledger.submit(prepared.envelope)


def test_a_clear_refusal_of_the_orderer_is_not_taken_elsewhere(site: Any, fail: Callable[..., Any]) -> None:
    prepared = site.prepare()
    site.fakes[0].failures["Submit"] = fail(
        CODE.ABORTED, "received unsuccessful response from orderer: status=FORBIDDEN, info=x"
    )
    with pytest.raises(Forbidden):
        site.ledger.submit(prepared.envelope)
    assert site.fakes[1].calls == []


def test_ordering_that_is_down_is_not_held_against_the_peer(site: Any, fail: Callable[..., Any]) -> None:
    prepared = site.prepare()
    site.fakes[0].failures["Submit"] = fail(CODE.UNAVAILABLE, "no orderers could successfully process transaction")
    for _ in range(5):
        with pytest.raises(OutcomeUnknown):
            site.ledger.submit(prepared.envelope)
    assert site.peers.usable == 2
    assert site.fakes[1].calls == []


def test_a_refusal_of_the_chaincode_is_not_taken_elsewhere(site: Any, fail: Callable[..., Any]) -> None:
    text = 'chaincode response 400, {"code":"new-rule","message":"No.","facts":{}}'
    site.fakes[0].failures["Endorse"] = fail(CODE.ABORTED, "see attached details", ("p", "LabMSP", text))
    assert refused(site, Refused).code == "new-rule"
    assert site.fakes[1].calls == []
    assert site.peers.usable == 2
    assert site.peers.calls == 0


def test_a_paused_peer_is_left_and_what_waits_there_goes_on_elsewhere(site: Any) -> None:
    site.probe.start()
    site.record(b"a" * 24)
    site.endpoints[0].pause()
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(site.record, bytes([number]) * 24) for number in range(8)]
        assert len({future.result(timeout=15).transaction_id for future in futures}) == 8
    # Found out by the health probe, long before the deadline of Endorse (15 s) would have told.
    assert time.monotonic() - started < 8
    assert site.meter.counts["peer_left"] == 1
    assert committed(site) == 9


def test_a_peer_that_comes_back_is_used_again(site: Any, until: Callable[..., Any]) -> None:
    site.probe.start()
    site.endpoints[0].kill()
    site.record(b"a" * 24)
    until(lambda: site.peers.usable == 1)
    site.endpoints[0].start()
    until(lambda: site.peers.usable == 2)
    before = len(site.fakes[0].calls)
    site.record(b"b" * 24)
    assert "Endorse" in site.fakes[0].calls[before:]


def test_without_any_peer_it_says_so_at_once_and_recovers(
    make_site: Callable[..., Any], until: Callable[..., Any]
) -> None:
    site = make_site(1)
    site.probe.start()
    until(lambda: site.heights)
    site.endpoints[0].kill()
    assert refused(site).code == "peer-unavailable"
    until(lambda: site.peers.usable == 0)
    started = time.perf_counter()
    found = refused(site)
    assert time.perf_counter() - started < 1.0
    assert (found.code, found.retry_after >= 1) == ("peer-unavailable", True)
    site.endpoints[0].start()
    until(lambda: site.peers.usable == 1)
    site.record()
    assert committed(site) == 1


def test_the_only_peer_keeps_its_waiting_calls_when_it_pauses(
    make_site: Callable[..., Any], until: Callable[..., Any]
) -> None:
    site = make_site(1)
    site.probe.start()
    site.prepare()
    site.endpoints[0].pause()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(site.prepare, b"b" * 24)
        until(lambda: site.peers.usable == 0)
        assert not waiting.done()
        site.endpoints[0].resume()
        assert waiting.result(timeout=10).transaction_id
    until(lambda: site.peers.usable == 1)


def test_a_call_that_comes_too_late_goes_on_at_the_other_peer(make_site: Callable[..., Any]) -> None:
    site = make_site(deadlines=Deadlines(endorse=0.5))
    site.endpoints[0].pause()
    assert site.prepare().transaction_id
    assert site.meter.counts["peer_suspected"] == 1


def test_a_peer_that_is_well_but_kept_waiting_itself_is_not_replaced(make_site: Callable[..., Any]) -> None:
    site = make_site(deadlines=Deadlines(endorse=0.8))
    site.fakes[0].slow["Endorse"] = 2.0
    site.probe.start()
    assert refused(site).code == "peer-timeout"
    assert "Endorse" not in site.fakes[1].calls
    assert site.peers.usable == 2


def test_a_full_peer_is_asked_again_after_a_pause_and_for_less(
    make_site: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    site = make_site(1)
    site.fakes[0].failures["Endorse"] = fail(CODE.UNKNOWN, FULL)
    site.fakes[0].failing["Endorse"] = 2
    assert site.prepare().transaction_id
    assert site.fakes[0].calls == ["Endorse"] * 3
    assert site.meter.counts["peer_limit"] == 2
    assert site.peer[0].slots.limit == 225
    assert site.peers.usable == 1


def test_a_peer_that_stays_full_is_given_up_after_four_tries(
    make_site: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    site = make_site(1)
    site.fakes[0].failures["Endorse"] = fail(CODE.UNKNOWN, FULL)
    assert refused(site).code == "peer-capacity"
    assert len(site.fakes[0].calls) == 4


def test_no_more_calls_reach_the_peer_than_it_was_given_places(
    make_site: Callable[..., Any], until: Callable[..., Any]
) -> None:
    site = make_site(1, slots=(6, 2))
    site.endpoints[0].pause()
    with ThreadPoolExecutor(12) as pool:
        futures = [pool.submit(site.prepare, bytes([number]) * 24) for number in range(12)]
        until(lambda: site.peer[0].slots.waiting == 8)
        until(lambda: site.fakes[0].calls == ["Endorse"] * 4)
        assert site.peer[0].slots.take(Kind.SUBMIT)
        site.peer[0].slots.give_back(Kind.SUBMIT)
        site.endpoints[0].resume()
        assert len({future.result().transaction_id for future in futures}) == 12
    assert site.peer[0].slots.used == 0


NO_PLAN = "no combination of peers can be derived which satisfy the endorsement policy: no peer combination can satisfy"


def test_a_peer_that_does_not_know_the_others_yet_leaves_the_call_to_one_that_does(
    site: Any, fail: Callable[..., Any]
) -> None:
    """As for some seconds after its start, while it has all blocks already."""
    site.fakes[0].failures["Endorse"] = fail(CODE.FAILED_PRECONDITION, NO_PLAN)
    for number in range(10):  # which opens no breaker
        assert site.record(bytes([number]) * 24).transaction_id
    assert site.peers.usable == 2
    site.fakes[0].failures.clear()
    asked = len(site.fakes[1].calls)
    site.prepare(b"z" * 24)
    assert len(site.fakes[1].calls) == asked


def test_missing_endorsers_are_named_and_not_asked_for_ever(site: Any, fail: Callable[..., Any]) -> None:
    detail = ("10.0.0.7:7051", "HospitalMSP", "connection refused")
    for fake in site.fakes:
        fake.failures["Endorse"] = fail(CODE.FAILED_PRECONDITION, NO_PLAN, detail)
    for _ in range(5):
        found = refused(site)
        assert (found.code, found.facts) == ("endorsers-unavailable", {"organisations": ["HospitalMSP"]})
    asked = len(site.fakes[0].calls)
    started = time.perf_counter()
    assert refused(site).code == "endorsers-unavailable"
    assert time.perf_counter() - started < 1.0
    assert len(site.fakes[0].calls) == asked
    # The peers are well, and other functions have endorsers of their own.
    assert site.peers.usable == 2
    for fake in site.fakes:
        fake.failures.clear()
    assert site.prepare(function="model:record-version").transaction_id


# -- blocks ---------------------------------------------------------------------------------------------------------


class Reader:
    """Reads as the projector does: from its own position, again and again."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.blocks: list[Any] = []
        self.troubles: list[Exception] = []
        self.stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.stopped:
            last = self.blocks[-1].hash if self.blocks else None
            try:
                self.site.feed.tip()
                for block in self.site.feed.blocks(len(self.blocks), lambda: self.stopped, previous_hash=last):
                    self.blocks.append(block)
            except (Unavailable, LedgerMisuse) as exc:
                self.troubles.append(exc)
                time.sleep(0.05)

    def stop(self) -> None:
        self.stopped = True
        self.site.feed.interrupt()
        self._thread.join(5)
        assert not self._thread.is_alive()

    @property
    def whole(self) -> bool:
        """Whether every block came, once, in order, each following on the one before."""
        numbers = [block.number for block in self.blocks] == list(range(len(self.site.fakes[0].chain)))
        return numbers and all(
            self.blocks[at].previous_hash == self.blocks[at - 1].hash for at in range(1, len(self.blocks))
        )


@pytest.fixture
def reader(site: Any) -> Any:
    started = Reader(site)
    yield started
    started.stop()


def test_the_feed_goes_on_at_another_peer_without_a_gap_or_a_double(
    site: Any, reader: Any, until: Callable[..., Any]
) -> None:
    site.cut(5)
    until(lambda: reader.whole)
    for endpoint in (site.endpoints[0], site.endpoints[1], site.endpoints[0]):
        endpoint.kill()
        site.cut(5)
        until(lambda: reader.whole)
        endpoint.start()
    assert len(reader.blocks) == 21
    assert site.peers.distrusted == 0


def test_the_feed_leaves_a_paused_peer(site: Any, reader: Any, until: Callable[..., Any]) -> None:
    site.probe.start()
    site.cut(3)
    until(lambda: reader.whole)
    site.endpoints[0].pause()
    site.cut(3)
    until(lambda: reader.whole)


def test_the_feed_leaves_a_peer_that_falls_far_behind(site: Any, reader: Any, until: Callable[..., Any]) -> None:
    site.probe.start()
    site.cut(20)
    until(lambda: reader.whole)
    kept = site.fakes[0].chain
    site.set_back(0, 15)
    until(lambda: site.peer[0].lagging)
    assert site.peers.choose() is site.peer[1]
    with site.fakes[1].grown:
        site.fakes[0].chain = kept
    until(lambda: not site.peer[0].lagging)
    site.cut()
    until(lambda: reader.whole)


@pytest.fixture
def tried(make_site: Callable[..., Any], until: Callable[..., Any]) -> Any:
    """An organisation whose only peer was left because calls to it failed, and is being tried again."""
    site = make_site(1)
    site.record()
    site.endpoints[0].kill()
    (peer,) = site.peer
    while peer.breaker.state == "closed":
        refused(site)
    until(peer.breaker.allows)
    assert not peer.breaker.allows(), "one at a time makes the trial"
    return site


def test_the_health_probes_trial_of_a_peer_ends_when_it_fails(tried: Any, until: Callable[..., Any]) -> None:
    (peer,) = tried.peer
    tried.probe.ask(peer)
    assert peer.breaker.state == "open"
    assert peer.breaker.retry_in < 1
    tried.endpoints[0].start()
    tried.probe.start()
    until(lambda: tried.peers.usable == 1)


def test_a_trial_that_comes_back_too_late_ends_too(tried: Any) -> None:
    (peer,) = tried.peer
    tried.peers.suspect(peer)
    assert peer.breaker.state == "open"
    assert peer.breaker.retry_in < 1


def test_a_peer_with_fewer_blocks_than_were_read_is_no_source(make_site: Callable[..., Any]) -> None:
    site = make_site(1)
    site.cut(3)
    with pytest.raises(Unavailable) as caught:
        next(site.feed.blocks(9, lambda: False, previous_hash=None))
    assert caught.value.code == "peer-behind"


def test_what_a_transaction_was_asked_to_do_is_read_from_its_block(make_site: Callable[..., Any]) -> None:
    site = make_site(1)
    recorded = site.record()
    commands = [site.feed.command(recorded.transaction_id, number) for number in range(len(site.fakes[0].chain))]
    assert [command for command in commands if command is not None] == ["{}"]
    assert site.feed.command("ab" * 32, commands.index("{}")) is None
    site.endpoints[0].kill()
    with pytest.raises(Unavailable):
        site.feed.command(recorded.transaction_id, 0)


def test_a_stream_that_falls_silent_is_opened_again(site: Any, reader: Any, until: Callable[..., Any]) -> None:
    site.probe.start()
    until(lambda: reader.whole)
    site.fakes[0].muted = site.fakes[0].streams
    site.cut(3)
    until(lambda: reader.whole)
    assert site.meter.counts["feed_stalled"] >= 1
    assert site.peers.usable == 2


def test_a_peer_that_shows_another_history_is_never_used_again(site: Any, until: Callable[..., Any]) -> None:
    site.cut(3)
    first = list(site_blocks(site, 4))
    site.fork(0, at=2)
    with pytest.raises(LedgerMisuse, match="cannot be trusted") as caught:
        next(site.feed.blocks(4, lambda: False, previous_hash=first[3].hash))
    assert caught.value.facts == {"reason": "forked"}
    assert site.peers.distrusted == 1
    assert site.peers.choose() is site.peer[1]
    site.peers.told(site.peer[0], 99)
    assert site.peers.choose() is site.peer[1]


class Stern:
    """Takes no block from the third on, and remembers under which configuration it went on."""

    def __init__(self) -> None:
        self.resumed: list[tuple[int, bytes | None]] = []

    def resume(self, height: int, config: bytes | None) -> None:
        self.resumed.append((height, config))

    def check(self, message: Any, block: Any) -> bytes | None:
        if block.number == 2:
            raise UntrustedResponse("block-signature", "block 2 is not signed as the ordering service must sign")
        return None


def test_a_peer_whose_block_nobody_ordered_is_never_used_again(site: Any) -> None:
    site.cut(3)
    stern = Stern()
    feed = FabricBlocks(site.peers, "pedigree", stern)
    blocks = feed.blocks(1, lambda: False, previous_hash=None, config=b"kept")
    assert next(blocks).number == 1
    with pytest.raises(LedgerMisuse, match="cannot be trusted: block-signature"):
        next(blocks)
    assert stern.resumed == [(1, b"kept")]
    assert site.peer[0].distrusted is not None
    assert site.peers.choose() is site.peer[1]


def test_when_no_peer_shows_the_chain_nothing_is_written_any_more(make_site: Callable[..., Any]) -> None:
    site = make_site(1)
    site.cut(3)
    first = list(site_blocks(site, 4))
    site.fork(0, at=2)
    with pytest.raises(LedgerMisuse):
        next(site.feed.blocks(4, lambda: False, previous_hash=first[3].hash))
    assert refused(site, LedgerMisuse).facts == {"reason": "forked"}
    with pytest.raises(LedgerMisuse):
        site.feed.tip()
    assert "Endorse" not in site.fakes[0].calls


def test_an_endorser_who_may_be_a_member_of_later_blocks_is_asked_for_again(make_site: Callable[..., Any]) -> None:
    def stranger(draft: Any) -> None:
        draft.names = [Identity("NobodyMSP", draft.endorsers[0].identity.credentials)]

    site = make_site(1)
    site.cut(3)
    site.fakes[0].lie = stranger
    site.peers.told(site.peer[0], 4)
    assert refused(site).code == "catching-up"
    assert len(list(site_blocks(site, 4))) == 4
    assert refused(site, LedgerMisuse).facts == {"reason": "untrusted-endorser", "organisation": "NobodyMSP"}


def test_a_peer_of_another_channel_is_found_at_the_first_question(site: Any) -> None:
    site.fork(0, at=0)
    for peer in site.peer:
        site.probe.ask(peer)
    assert [peer.distrusted is not None for peer in site.peer] == [True, False]


def test_a_damaged_block_is_not_handed_on(site: Any) -> None:
    site.cut(2)
    site.fakes[0].chain[2].data.data[0] = b"changed afterwards"
    blocks = site.feed.blocks(0, lambda: False, previous_hash=None)
    assert [next(blocks).number, next(blocks).number] == [0, 1]
    with pytest.raises(LedgerMisuse, match="data-hash"):
        next(blocks)


def site_blocks(site: Any, count: int) -> Any:
    done = [False]
    for seen, block in enumerate(site.feed.blocks(0, lambda: done[0], previous_hash=None), start=1):
        done[0] = seen == count
        yield block


def made_anew(site: Any, number: int) -> None:
    """Have a peer belong to a network that was made anew: of the same names, with another first block."""
    site.fork(number, 0)
    fake = site.fakes[number]
    fake.chain = fake.chain[:1]


def test_a_network_that_was_made_anew_while_the_gateway_ran_ends_it(
    make_site: Callable[..., Any], until: Callable[..., Any]
) -> None:
    site = make_site()
    ended: list[str] = []
    site.probe._ended = ended.append
    for number in range(3):
        site.record(bytes([number]) * 24)
    assert len(list(site_blocks(site, 4))) == 4
    site.probe.start()
    until(lambda: all(peer.height == 4 for peer in site.peer))
    made_anew(site, 0)
    until(lambda: site.peer[0].distrusted)
    assert ended == [], "another peer still shows the chain"
    made_anew(site, 1)
    until(lambda: ended)
    assert "every peer of this organisation shows another network" in ended[0]


def test_a_network_file_that_pins_another_chain_is_noticed_while_no_peer_answers(
    make_site: Callable[..., Any], until: Callable[..., Any]
) -> None:
    site = make_site(1)
    ended: list[str] = []
    pins: list[str | None] = [None]
    site.probe._ended, site.probe._replaced = ended.append, lambda: pins[0]
    site.probe.start()
    until(lambda: site.peer[0].height is not None)
    pins[0] = "the file pins another chain now"
    time.sleep(0.5)
    assert ended == [], "the peer still answers"
    site.endpoints[0].kill()
    until(lambda: ended)
    assert ended[0] == pins[0]
