# SPDX-License-Identifier: Apache-2.0
"""How a request becomes a submission: a new one, or one that failed before and goes on."""

from collections.abc import Callable
from dataclasses import replace

from gateway.services.intents import Intent
from gateway.services.ports import Clock, Submission


class Opening:
    """Makes submissions of requests."""

    def __init__(self, submission_id: Callable[[str, str], str], clock: Clock) -> None:
        """Assign.

        Args:
            submission_id: of a client's key.
        """
        self._submission_id = submission_id
        self._clock = clock

    def begun(self, client: str, key: str) -> Submission:
        """A submission of which no more is known yet than that it was begun."""
        return Submission(
            id=self._submission_id(client, key), client=client, key=key, request_hash="", function="", command="",
            state="accepted", attempt=1, created=self._clock(),
        )  # fmt: skip

    def submission(
        self,
        intent: Intent,
        function: str,
        command: Callable[[], str],
        stored: Submission | None,
        filled: tuple[str, ...],
    ) -> Submission:
        """The submission of a request; `stored` is what is kept of it from before."""
        if stored is not None:
            # A stored failure that may be tried again: go on from the attempts that are used up already.
            again = replace(stored, state="accepted", ending=None, envelope=None)
            return again if again.command else replace(again, command=command())
        return Submission(
            id=self._submission_id(intent.client, intent.key),
            client=intent.client,
            key=intent.key,
            request_hash=intent.digest,
            function=function,
            command=command(),
            state="accepted",
            attempt=1,
            created=self._clock(),
            organisations=intent.organisations,
            filled=filled,
        )
