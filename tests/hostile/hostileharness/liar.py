# SPDX-License-Identifier: Apache-2.0
"""A member's chaincode process that lies: run in place of `python -m chaincode`, with the same environment.

The file that LIE names says how, and is read anew at every call:

- `refuse`: answer with a refusal of that text, in which `{id}` is the transaction's; `status` is its code. With
  `after`, only when so many seconds have passed. In place of one text there may be several, each under a word: the
  first whose word the arguments hold is answered, and where there is none, the honest answer.
- `watch`: a folder. Leave a file named after the transaction there, with the signed proposal in it, and wait until it
  is gone; then be honest.
- `steps`: methods of the stub with their arguments, called in order; `reply` is answered and `event`, a name and a
  payload, set. Nothing of the honest chaincode is called.

An empty file of braces is honesty.
"""

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from chaincode.__main__ import router
from chaincode.shim import Response, Stub, serve, settings_from_environment

_PATIENCE = 20.0


class Liar:
    """The honest chaincode, and what it says instead of it."""

    def __init__(self, honest: Any, script: Path) -> None:
        self._honest = honest
        self._script = script

    def init(self, stub: Stub) -> Response:
        return self.invoke(stub)

    def invoke(self, stub: Stub) -> Response:
        lie = json.loads(self._script.read_text(encoding="utf-8"))
        if (text := _refusal(stub, lie.get("refuse", {}))) is not None:
            time.sleep(lie.get("after", 0))
            return Response(lie.get("status", 400), text.replace("{id}", stub.transaction_id))
        if "steps" in lie:
            return _invented(stub, lie)
        if "watch" in lie:
            _wait(Path(lie["watch"]) / stub.transaction_id, stub.signed_proposal.SerializeToString())
        answer: Response = self._honest.invoke(stub)
        return answer


def _invented(stub: Stub, lie: Any) -> Response:
    for method, *arguments in lie["steps"]:
        getattr(stub, method)(*[_argument(each) for each in arguments])
    if "event" in lie:
        name, payload = lie["event"]
        stub.set_event(name, _argument(payload))
    return Response(200, payload=_argument(lie.get("reply", {})))


def _argument(given: Any) -> Any:
    """A text as it is; anything else as canonical JSON, in bytes."""
    if isinstance(given, str):
        return given
    return json.dumps(given, sort_keys=True, separators=(",", ":")).encode()


def _refusal(stub: Stub, texts: str | dict[str, str]) -> str | None:
    if isinstance(texts, str):
        return texts
    return next((text for word, text in texts.items() if any(word.encode() in each for each in stub.args)), None)


def _wait(seen: Path, content: bytes) -> None:
    whole = seen.with_suffix(".new")
    whole.write_bytes(content)
    whole.rename(seen)
    deadline = time.monotonic() + _PATIENCE
    while seen.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    settings = settings_from_environment(os.environ, [])
    serve(Liar(router(os.environ), Path(os.environ["LIE"])), settings)


if __name__ == "__main__":
    main()
