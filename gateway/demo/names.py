# SPDX-License-Identifier: Apache-2.0
"""What the records of the story are called."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """What the story's records are called; on a ledger that has seen it before, with a number."""

    number: int = 1

    @property
    def dataset(self) -> str:
        """The hospital's data set."""
        return f"wdbc{self._suffix}"

    @property
    def dataset_version(self) -> str:
        """The reference of its first version."""
        return f"dataset-version:{self.dataset}:1"

    def selection(self, role: str) -> str:
        """The reference of the part of that data set that trains, or is held out."""
        return f"selection:{self.consented}:1:{role}"

    @property
    def consented(self) -> str:
        """The hospital's data set that rests on consent."""
        return f"consented-biopsies{self._suffix}"

    @property
    def consented_model(self) -> str:
        """The model that the lab trained on it."""
        return f"consented-classifier{self._suffix}"

    @property
    def consented_run(self) -> str:
        """The run that trained it."""
        return f"{self.consented_model}-run-1"

    def criteria(self, when: str) -> str:
        """The criteria that this model's versions are judged by: those that were set `early`, or `late`."""
        return f"{self.consented_model}-bar-{when}"

    def evaluation(self, when: str) -> str:
        """The regulator's evaluation by these criteria."""
        return f"{self.consented_model}-judged-{when}"

    @property
    def model(self) -> str:
        """The lab's model."""
        return f"tumour-classifier{self._suffix}"

    @property
    def run(self) -> str:
        """The run that trained it."""
        return f"{self.model}-run-1"

    @property
    def version(self) -> str:
        """The reference of the model's first version."""
        return f"model-version:{self.model}:1"

    @property
    def second(self) -> str:
        """The reference of the version that nobody endorsed."""
        return f"model-version:{self.model}:2"

    @property
    def request(self) -> str:
        """What the lab asks of the hospital before it trains."""
        return f"{self.dataset}-asked"

    @property
    def access(self) -> str:
        """The grant with which the hospital answers."""
        return f"{self.dataset}-lab"

    def part(self, role: str, organisation: str) -> str:
        """The grant of one part of the data that rests on consent."""
        return f"{self.consented}-{role}-{organisation}"

    @property
    def grant(self) -> str:
        """The grant of five seconds."""
        return f"{self.dataset}-for-the-lab"

    @property
    def smuggled(self) -> str:
        """The model that one organisation tries to write alone."""
        return f"smuggled{self._suffix}"

    @property
    def _suffix(self) -> str:
        return "" if self.number == 1 else f"-{self.number}"
