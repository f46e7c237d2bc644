# SPDX-License-Identifier: Apache-2.0
"""Croissant cards of data sets (versions 1.0 and 1.1): what the ledger takes from one, and what could not be taken.

Cards are as untidy as the world is. What a card says in another form than the ledger needs is kept as given among the
remarks, and nothing is made up in its place. Source: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from pedigree.errors import InvalidInput
from pedigree.rules import check_text

LARGEST: Final = 64 << 20
"""Bytes of a card."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_TERRITORY: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,3})?Z)?")
_PLACES_OF_LICENCES: Final = (
    re.compile(r"https?://(?:www\.)?choosealicense\.com/licenses/([A-Za-z0-9.+-]+)/?"),
    re.compile(r"https?://(?:www\.)?spdx\.org/licenses/([A-Za-z0-9.+-]+?)(?:\.html|\.json)?/?"),
    re.compile(r"https?://(?:www\.)?opensource\.org/licenses/([A-Za-z0-9.+-]+?)(?:\.php)?/?"),
)
_CREATIVE: Final = re.compile(r"https?://(?:www\.)?creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)(?:/.*)?")
_ZERO: Final = re.compile(r"https?://(?:www\.)?creativecommons\.org/publicdomain/zero/1\.0(?:/.*)?")
_SAYS_NOTHING: Final = frozenset({"", "unknown", "other", "none", "n/a"})


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that a card does not say, or says in a form that the ledger does not have."""

    pointer: str
    """Where in the card, as a JSON pointer."""
    given: str
    """What the card has there, at most 200 characters; empty where nothing does."""
    reason: str

    def __str__(self) -> str:
        given = f" ({self.given!r} is kept on the card as given)" if self.given else ""
        return f"{self.pointer}: {self.reason}{given}"


@dataclass(frozen=True, slots=True)
class RecordSet:
    """A record set of a card: its name and the names of its fields."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it was read."""

    digest: str
    """SHA-256 of the card's bytes, in hex."""
    fields: dict[str, Any]
    """Fields for `register_dataset`; `origin` holds what the card says of it, and may lack what must be said."""
    files: dict[str, str]
    """SHA-256 in hex of each file that the card lists with one, by the name of the file."""
    record_sets: tuple[RecordSet, ...]
    remarks: tuple[Remark, ...]
    said: Mapping[str, Any]
    """The card itself."""


def read_card(source: Path | str | bytes) -> Card:
    """Read a card from a file, or from its bytes.

    Raises `InvalidInput` for what is not one JSON object, or has more than 64 MiB; `OSError`.
    """
    content, where = (source, "the card") if isinstance(source, bytes) else _content(Path(source))
    if len(content) > LARGEST:
        raise InvalidInput(f"{where}: a card has at most {LARGEST >> 20} MiB", field="card")
    try:
        said = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        reason = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise InvalidInput(f"{where}: it is not a card in JSON ({reason})", field="card") from None
    if not isinstance(said, dict):
        raise InvalidInput(f"{where}: a card is one JSON object", field="card")
    return _Reader(said).card(hashlib.sha256(content).hexdigest())


def _content(path: Path) -> tuple[bytes, str]:
    with path.open("rb") as file:
        return file.read(LARGEST + 1), str(path)


class _Reader:
    """Takes a card apart, and remarks on what cannot be taken."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said
        self._remarks: list[Remark] = []

    def card(self, digest: str) -> Card:
        files = self._files()
        fields: dict[str, Any] = {"card": digest}
        found = {
            "title": self._text("name"),
            "description": self._text("description"),
            "creator": self._creator(),
            "licence": self._licence(),
            "origin": self._origin(),
            "distributions": sorted(set(files.values())),
        }
        fields |= {name: value for name, value in found.items() if value}
        return Card(digest, fields, files, self._record_sets(), tuple(self._remarks), self._said)

    def _remark(self, pointer: str, given: Any, reason: str) -> None:
        text = given if isinstance(given, str) else "" if given is None else json.dumps(given, ensure_ascii=False)
        self._remarks.append(Remark(pointer, text[:200], reason))

    def _text(self, member: str) -> str | None:
        given = self._said.get(member)
        pointer = f"/{member}"
        if isinstance(given, dict):  # a text in one or several languages
            given = given.get("@value", given.get("en", given))
        if not isinstance(given, str) or not given.strip():
            self._remark(pointer, given, "the card does not say it as one text")
            return None
        return self._fit(pointer, given.strip())

    def _fit(self, pointer: str, text: str) -> str | None:
        """A text, where the ledger takes it; else a remark that says why not."""
        try:
            return check_text(text, pointer)
        except InvalidInput as exc:
            reason = exc.detail.partition(": ")[2]
            self._remark(pointer, text, f"the card keeps it, the ledger does not: {reason}")
            return None

    def _creator(self) -> str | None:
        given = self._said.get("creator")
        names = [
            name.strip()
            for one in _each(given)
            if isinstance(name := one.get("name") if isinstance(one, dict) else one, str) and name.strip()
        ]
        if not names:
            self._remark("/creator", given, "the card names nobody")
            return None
        return self._fit("/creator", ", ".join(names))

    def _licence(self) -> str | None:
        given = self._said.get("license")
        several = list(_each(given))
        one = several[0] if len(several) == 1 else None
        if isinstance(one, dict):
            one = one.get("url", one.get("@id", one.get("name")))
        if len(several) > 1:
            self._remark("/license", given, "there are several; say with --licence how they go together")
            return None
        if not isinstance(one, str) or one.strip().lower() in _SAYS_NOTHING:
            self._remark("/license", given, "the card does not say under which licence the data are")
            return None
        found = _spdx(one.strip())
        if found is None or not (found.isascii() and found.isprintable()):
            found = None
            self._remark("/license", given, "SPDX does not name it; say with --licence which one it is")
        return found

    def _origin(self) -> dict[str, Any]:
        origin: dict[str, Any] = {}
        if isinstance(url := self._said.get("url"), str) and url.strip().lower() not in _SAYS_NOTHING:
            if (source := self._fit("/url", url.strip())) is not None:
                origin["source"] = source
        else:
            self._remark("/url", url, "the card does not say where the data are from")
        places = [place for one in _each(self._said.get("spatialCoverage")) for place in self._place(one)]
        if places:
            origin["geography"] = places
        return origin | self._period()

    def _place(self, given: Any) -> Iterator[str]:
        name = given.get("identifier", given.get("name")) if isinstance(given, dict) else given
        if isinstance(name, str) and _TERRITORY.fullmatch(name):
            yield name
        else:
            self._remark("/spatialCoverage", given, "it is not a code of ISO 3166; say the places with the origin")

    def _period(self) -> dict[str, Any]:
        given = self._said.get("temporalCoverage")
        if given is None:
            return {}
        ends = given.split("/") if isinstance(given, str) else []
        try:
            if not 1 <= len(ends) <= 2 or not all(_INSTANT.fullmatch(end) or end == ".." for end in ends):
                raise ValueError(given)
            first, last = _instant(ends[0], time.min), _instant(ends[-1], time.max)
        except ValueError:
            self._remark("/temporalCoverage", given, "it is not a period of days or of times in UTC")
            return {}
        period = {"collected_from": first, "collected_until": last}
        return {name: value for name, value in period.items() if value is not None}

    def _files(self) -> dict[str, str]:
        files: dict[str, str] = {}
        for place, one in enumerate(_each(self._said.get("distribution"))):
            pointer = f"/distribution/{place}"
            if not isinstance(one, dict):
                self._remark(pointer, one, "it is not a description of a file")
                continue
            if not str(one.get("@type", "")).endswith("FileObject"):
                continue  # a set of files has no digest of its own
            name = next((str(one[key]) for key in ("name", "@id", "contentUrl") if one.get(key)), pointer)
            digest = one.get("sha256")
            if isinstance(digest, str) and _DIGEST.fullmatch(digest):
                files[name] = digest.lower()
            elif digest is not None or "containedIn" not in one:
                self._remark(f"{pointer}/sha256", digest, f"{name[:80]} has no SHA-256 of 64 hexadecimal digits")
        return files

    def _record_sets(self) -> tuple[RecordSet, ...]:
        found: list[RecordSet] = []
        for place, one in enumerate(_each(self._said.get("recordSet"))):
            if not isinstance(one, dict):
                self._remark(f"/recordSet/{place}", one, "it is not a description of records")
                continue
            names = tuple(
                str(field.get("name", field.get("@id", "")))
                for field in _each(one.get("field"))
                if isinstance(field, dict)
            )
            found.append(RecordSet(str(one.get("name", one.get("@id", f"/recordSet/{place}"))), names))
        return tuple(found)


def _each(given: Any) -> list[Any]:
    """JSON-LD writes a list of one as that one."""
    return given if isinstance(given, list) else [] if given is None else [given]


def _spdx(text: str) -> str | None:
    """An SPDX expression out of an identifier or the address of a licence; whether SPDX knows it, the ledger says."""
    if _ZERO.fullmatch(text):
        return "CC0-1.0"
    if (creative := _CREATIVE.fullmatch(text)) is not None:
        return f"CC-{creative[1].upper()}-{creative[2]}"
    for place in _PLACES_OF_LICENCES:
        if (found := place.fullmatch(text)) is not None:
            text = found[1]
            break
    if "://" in text:
        return None
    return _ALIASES.get(text.lower(), text)


_ALIASES: Final = {"odc-by": "ODC-By-1.0", "pddl": "PDDL-1.0", "odbl": "ODbL-1.0", "cc0": "CC0-1.0"}
"""What the hubs of data sets call licences, where that is not how SPDX does."""


def _instant(text: str, at: time) -> int | None:
    """Milliseconds since 1970; a day without a time begins or ends as `at` says. Raises `ValueError`."""
    if text == "..":
        return None
    when = datetime.combine(date.fromisoformat(text), at, UTC) if "T" not in text else datetime.fromisoformat(text)
    return (when - _EPOCH) // timedelta(milliseconds=1)
