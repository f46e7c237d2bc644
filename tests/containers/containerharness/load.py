# SPDX-License-Identifier: Apache-2.0
"""Applications that record models through every organisation's gateway and never give up, and what they were told."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from pedigree import Pedigree, PedigreeError, Recorded, Refused

_PATIENCE = 20.0
"""Seconds of the SDK's own repetitions; then the application asks again with the same key."""
_BREATH = 0.05


class Exchange(NamedTuple):
    """One request, and what came back: a status, and the code of a refusal; nothing where nobody answered."""

    ended: float
    organisation: str
    answer: str


class Told(NamedTuple):
    """A recording that a gateway acknowledged."""

    sent: float
    ended: float
    organisation: str
    model: str
    recorded: Recorded


class Watched(httpx.BaseTransport):
    """Notes every exchange on its way."""

    def __init__(self, organisation: str, exchanges: list[Exchange]) -> None:
        self._inner = httpx.HTTPTransport()
        self._organisation = organisation
        self._exchanges = exchanges

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self._inner.handle_request(request)
            response.read()
        except httpx.HTTPError:
            self._note("no answer")
            raise
        if response.status_code < 400:
            self._note(str(response.status_code))
        else:
            self._note(f"{response.status_code} {response.json()['code']}")
        return response

    def close(self) -> None:
        self._inner.close()

    def _note(self, answer: str) -> None:
        self._exchanges.append(Exchange(time.monotonic(), self._organisation, answer))


@dataclass
class Load:
    """Threads that record one model after another, each model's name being its key too, until they are stopped."""

    prefix: str
    told: list[Told] = field(default_factory=list)
    refused: dict[str, Refused] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _broken: list[BaseException] = field(default_factory=list)

    def start(self, client: Callable[..., Pedigree], organisations: tuple[str, ...], *, each: int = 2) -> None:
        """Begin, with `each` applications for every organisation."""
        for organisation in organisations:
            for number in range(each):
                arguments = (client, organisation, number)
                thread = threading.Thread(target=self._guarded, args=arguments, name=f"load-{organisation}-{number}")
                self._threads.append(thread)
                thread.start()

    def stop(self, within: float = 90.0) -> None:
        """Let every application bring the recording in hand to its end; what broke one of them is raised here."""
        self._stopping.set()
        give_up = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, give_up - time.monotonic()))
        assert not [thread.name for thread in self._threads if thread.is_alive()], "an application still waits"
        self._raise()

    def wait(self, organisations: tuple[str, ...], since: float, within: float) -> dict[str, float]:
        """For each organisation, when its gateway first acknowledged something that was sent after `since`."""
        give_up = time.monotonic() + within
        while len(found := self.first_after(since)) < len(organisations) or not set(organisations) <= set(found):
            self._raise()
            silent = sorted(set(organisations) - set(found))
            assert time.monotonic() < give_up, f"{', '.join(silent)}: nothing acknowledged in {within:.0f} s: {self}"
            time.sleep(0.05)
        return found

    def first_after(self, since: float) -> dict[str, float]:
        found: dict[str, float] = {}
        for one in list(self.told):
            if one.sent >= since:
                found[one.organisation] = min(one.ended, found.get(one.organisation, one.ended))
        return found

    def longest_silence(self, since: float, until: float) -> float:
        """The longest time, in seconds, in which nobody anywhere was told of a commit."""
        moments = sorted(one.ended for one in list(self.told) if since <= one.ended <= until)
        marks = [since, *moments, until]
        return max(after - before for before, after in itertools.pairwise(marks))

    def answers(self, since: float) -> Counter[str]:
        """What clients saw from a moment on."""
        return Counter(one.answer for one in list(self.exchanges) if one.ended >= since)

    def __str__(self) -> str:
        return f"{len(self.told)} acknowledged, {len(self.refused)} refused, {dict(self.answers(0.0))}"

    def _raise(self) -> None:
        if self._broken:
            raise self._broken[0]

    def _guarded(self, client: Callable[..., Pedigree], organisation: str, number: int) -> None:
        try:
            self._work(client, organisation, number)
        except BaseException as error:
            self._broken.append(error)  # raised where the load is stopped or waited for

    def _work(self, client: Callable[..., Pedigree], organisation: str, number: int) -> None:
        transport = Watched(organisation, self.exchanges)
        with client(organisation, timeout=_PATIENCE, transport=transport) as pedigree:
            index = 0
            while not self._stopping.is_set():
                self._record(pedigree, organisation, f"{self.prefix}-{organisation}-{number}-{index}")
                index += 1
                time.sleep(_BREATH)

    def _record(self, pedigree: Pedigree, organisation: str, model: str) -> None:
        """Record one model; whoever gets no answer asks again with the same key until he has one."""
        sent = time.monotonic()
        while True:
            try:
                recorded = pedigree.register_model(model, title="Load", idempotency_key=f"key-{model}")
            except Refused as refusal:
                self.refused[model] = refusal
                return
            except PedigreeError:
                continue  # it may or may not have been done: only asking again tells
            self.told.append(Told(sent, time.monotonic(), organisation, model, recorded))
            return
