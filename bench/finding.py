# SPDX-License-Identifier: Apache-2.0
"""What finding costs: a record, a page of a list, with filters or without, and a search, for one caller over REST.

The questions are asked of one gateway's read model in turn, so that each meets the same moments of the machine.
"""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from bench.consortia import founded, lab_headers
from bench.measure import Metric, median
from bench.rest import in_turn
from pedigree import Pedigree

_MODELS = 3_000
_CALLERS = 50
_DEEP = 2_000
_FILTERS = "owner=LabMSP&since=2020-01-01"
_WORDS = ("screening", "triage", "prognosis", "dosage", "imaging")
"""One of them is in each title, so that a search finds a fifth of all and has to look at many."""


def measure(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Register models, then ask for them in several ways."""
    with founded(kind) as consortium:
        with consortium.client("lab") as application:
            _register(application)
            height = application.height
        ask = _Asking(consortium.ports["lab"].gateway, lab_headers(consortium) | {"Min-Ledger-Height": str(height)})
        ask.get("/v1/models?limit=1")  # the read model has come so far
        questions: dict[str, tuple[str, Callable[[], object]]] = {
            "record": ("one model by its name", _numbered(ask, "/v1/models/model-{}")),
            "page": ("the first page of 100 of all models", _same(ask, "/v1/models?limit=100")),
            "deep_page": (f"a page of 100 of all models, after {_DEEP:,} others", _deep(ask)),
            "name": (
                "the models whose name begins so, 11 of them",
                _numbered(ask, "/v1/models?name=model-{}", 100, 299),
            ),
            "filtered": ("the first page of 100 by owner and time", _same(ask, f"/v1/models?limit=100&{_FILTERS}")),
            "search": (
                "a page of 50 by one word that a fifth of the titles has",
                _same(ask, f"/v1/search?q={_WORDS[0]}"),
            ),
            "search_words": ("one model by two words of its title", _numbered(ask, f"/v1/search?q={_WORDS[0]}%20{{}}")),
        }
        taken = in_turn([question for _, question in questions.values()], rounds * seconds, pause=0)
        ask.close()
    how = f"{_MODELS:,} models on {kind}, one caller over a kept connection, {len(taken[0])} times each, in turn"
    return [
        Metric(f"finding.{name}_ms", median(each), "ms", f"{what}; median; {how}")
        for (name, (what, _)), each in zip(questions.items(), taken, strict=True)
    ]


def _register(application: Pedigree) -> None:
    def one(number: int) -> None:
        title = f"{_WORDS[number % len(_WORDS)].capitalize()} model {number}"
        application.register_model(f"model-{number}", title=title)

    with ThreadPoolExecutor(_CALLERS) as pool:
        list(pool.map(one, range(_MODELS)))


class _Asking:
    """GET over one kept connection."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = headers

    def get(self, path: str) -> bytes:
        """The body of an answer; anything but 200 ends the measurement."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}: {body[:300]!r}")
        return body

    def close(self) -> None:
        self._connection.close()


def _same(ask: _Asking, path: str) -> Callable[[], object]:
    return lambda: ask.get(path)


def _numbered(ask: _Asking, path: str, least: int = 0, most: int = _MODELS - 1) -> Callable[[], object]:
    """Asks for another model each time, of those whose titles have the first of the words."""
    numbers = itertools.cycle(range(least, most + 1, len(_WORDS)))
    return lambda: ask.get(path.format(next(numbers)))


def _deep(ask: _Asking) -> Callable[[], object]:
    """Asks for the page that begins after `_DEEP` models."""
    cursor = ""
    for _ in range(_DEEP // 100):
        page = json.loads(ask.get(f"/v1/models?limit=100{cursor and '&cursor='}{cursor}"))
        cursor = quote(page["next"], safe="")
    return _same(ask, f"/v1/models?limit=100&cursor={cursor}")
