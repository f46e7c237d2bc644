# SPDX-License-Identifier: Apache-2.0
"""Share-alike licences: under which licences what was made from such a work may be published.

Two share-alike licences exclude one another unless the steward of the first says otherwise. What is listed here is
what the stewards have published, each with its source; nothing is inferred, and steps are not joined (that A permits
B and B permits C is said of C nowhere). EPL 2.0 permits the GPL only where its author names it (section 1, "Secondary
License", and exhibit A), which an expression then says by itself: ``EPL-2.0 OR GPL-2.0-or-later``. GPL 3.0 and AGPL 3.0
permit to link and combine works under both (section 13 of each), and each part stays under its own:
``GPL-3.0-only AND AGPL-3.0-only``.
"""

import re
from dataclasses import dataclass
from typing import Final

from chaincode.domain.spdx import Term

Version = tuple[int, int]
_OPEN: Final = (999, 0)
"""Beyond every version that there will be."""


@dataclass(frozen=True, slots=True)
class Span:
    """The versions of a family of licences from `first` to `last`."""

    family: str
    first: Version
    last: Version

    def holds(self, other: "Span") -> bool:
        """Whether every version of `other` is among these."""
        return self.family == other.family and self.first <= other.first and other.last <= self.last


def _only(family: str, version: str) -> Span:
    return Span(family, _parsed(version), _parsed(version))


def _since(family: str, version: str) -> Span:
    return Span(family, _parsed(version), _OPEN)


def _parsed(version: str) -> Version:
    major, minor = version.split(".")
    return int(major), int(minor)


# The family, the form of its identifiers, and the first version whose text lets those who adapt the work take a later
# version of the licence themselves. GNU licences leave that to the author, who then says "or later".
_FAMILIES: Final[tuple[tuple[str, re.Pattern[str], Version], ...]] = tuple(
    (family, re.compile(form), _OPEN if upgrades is None else _parsed(upgrades))
    for family, form, upgrades in (
        # CC BY-SA and BY-NC-SA 2.0 to 3.0, section 4b, and 4.0, section 3b: a later version with the same License
        # Elements; ports to jurisdictions count as the same version. 1.0, section 4b, knows no later ones.
        ("CC-BY-SA", r"CC-BY-SA-([1-4]\.[015])(?:-[A-Z]+)?", "2.0"),
        ("CC-BY-NC-SA", r"CC-BY-NC-SA-([1-4]\.[05])(?:-[A-Z]+)?", "2.0"),
        # ODbL 1.0, section 4.4 a ii.
        ("ODbL", r"ODbL-(1\.0)", "1.0"),
        # CDLA Sharing 1.0, section 3.1: data and enhanced data under this agreement; for results see `licensing`.
        ("CDLA-Sharing", r"CDLA-Sharing-(1\.0)", None),
        ("GPL", r"GPL-([123]\.0)(?:-only|-or-later)?", None),
        ("LGPL", r"LGPL-(2\.0|2\.1|3\.0)(?:-only|-or-later)?", None),
        ("AGPL", r"AGPL-(3\.0)(?:-only|-or-later)?", None),
        ("Affero", r"AGPL-(1\.0)(?:-only|-or-later)?", None),
        ("GFDL", r"GFDL-(1\.[123])(?:-only|-or-later)?", None),
        ("GFDL-invariants", r"GFDL-(1\.[123])-invariants(?:-only|-or-later)", None),
        ("GFDL-no-invariants", r"GFDL-(1\.[123])-no-invariants(?:-only|-or-later)", None),
        # MPL 1.0 and 1.1, section 6.2; MPL 2.0, section 10.2.
        ("MPL", r"MPL-(1\.0|1\.1|2\.0)", "1.0"),
        ("MPL-no-copyleft-exception", r"MPL-(2\.0)-no-copyleft-exception", "2.0"),
        # EPL 1.0 and 2.0, section 7.
        ("EPL", r"EPL-([12]\.0)", "1.0"),
        # EUPL 1.1 and 1.2, article 5.
        ("EUPL", r"EUPL-(1\.[012])", "1.1"),
        ("OSL", r"OSL-([123]\.[01])", None),
        # Free Art License 1.2, article 7, and 1.3, article 8: one of the subsequent versions.
        ("LAL", r"LAL-(1\.[23])", "1.2"),
    )
)  # fmt: skip

# What a steward lists as compatible with a version of its licence, beyond the licence itself.
_COMPATIBLE: Final[tuple[tuple[Span, tuple[Span, ...]], ...]] = (
    # https://creativecommons.org/compatiblelicenses: Free Art License 1.3 in both directions, GPL 3.0 in one, and of it
    # this version alone.
    (_only("CC-BY-SA", "4.0"), (_only("LAL", "1.3"), _only("GPL", "3.0"))),
    (_only("LAL", "1.3"), (_only("CC-BY-SA", "4.0"),)),
    # LGPL 2.0 and 2.1, section 3: the terms of the GPL, version 2 or a newer one.
    (_only("LGPL", "2.0"), (_since("GPL", "2.0"),)),
    (_only("LGPL", "2.1"), (_since("GPL", "2.0"),)),
    # LGPL 3.0 is GPL 3.0 with additional permissions, which may be dropped (GPL 3.0, section 7).
    (_only("LGPL", "3.0"), (_only("GPL", "3.0"),)),
    (_since("LGPL", "3.0"), (_since("GPL", "3.0"),)),
    # MPL 2.0, sections 1.12 and 3.3: the secondary licences, in a larger work that is under one of them.
    (_only("MPL", "2.0"), (_since("GPL", "2.0"), _since("LGPL", "2.1"), _since("AGPL", "3.0"))),
    # What was under MPL 1.0 or 1.1 is "incompatible with secondary licenses" under 2.0 (section 1.5 b).
    (_only("MPL", "1.0"), (_only("MPL-no-copyleft-exception", "2.0"),)),
    (_only("MPL", "1.1"), (_only("MPL-no-copyleft-exception", "2.0"),)),
    # The appendix of EUPL 1.1, to article 5: where the result is made from a work under one of these as well.
    (
        _only("EUPL", "1.1"),
        (_only("GPL", "2.0"), _only("OSL", "2.1"), _only("OSL", "3.0"), _only("EPL", "1.0")),
    ),
    # The appendix of EUPL 1.2, to article 5, likewise; CC BY-SA 3.0 Unported for works other than software.
    (
        _only("EUPL", "1.2"),
        (
            _only("GPL", "2.0"), _only("GPL", "3.0"), _only("AGPL", "3.0"), _only("OSL", "2.1"), _only("OSL", "3.0"),
            _only("EPL", "1.0"), _only("MPL", "2.0"), _only("LGPL", "2.1"), _only("LGPL", "3.0"),
            _only("CC-BY-SA", "3.0"), _only("EUPL", "1.1"),
        ),
    ),
)  # fmt: skip


# Terms of licences without copyleft that a copyleft licence does not allow to be added: from which version on it does.
_NOT_BEFORE: Final[dict[str, dict[str, Version]]] = {
    # The terms on patents of Apache 2.0, section 3, are further restrictions to GPL 2.0 (section 6) and LGPL 2.1
    # (section 10); GPL 3.0 admits them (section 7). https://www.apache.org/licenses/GPL-compatibility.html,
    # https://www.gnu.org/licenses/license-list.html#apache2; ECL 2.0 has the same section (…#ECL2.0).
    "Apache-2.0": {"GPL": (3, 0), "LGPL": (3, 0), "Affero": _OPEN},
    "ECL-2.0": {"GPL": (3, 0), "LGPL": (3, 0), "Affero": _OPEN},
    # Its provisions are those of a contract: https://www.gnu.org/licenses/license-list.html#AcademicFreeLicense.
    "AFL-3.0": {"GPL": _OPEN, "LGPL": _OPEN, "AGPL": _OPEN, "Affero": _OPEN},
}


def excludes(own: Term, asked: Term) -> bool:
    """Whether the copyleft of `own`, in one of the versions that it offers, does not admit the terms of `asked`."""
    offered = _family(own)
    if offered is None:
        return False
    least = _NOT_BEFORE.get(asked.identifier, {}).get(offered.family)
    return least is not None and offered.first < least


def is_share_alike(term: Term) -> bool:
    """Whether the licence asks that what is made from the work is published under it or under a compatible one."""
    return _family(term) is not None


def meets(own: Term, asked: Term) -> bool:
    """Whether publishing under `own` does what the share-alike licence `asked` wants.

    An exception grants what the licence alone does not; only the author can add it, and anybody may leave it out.
    """
    offered, granted = _family(own), _family(asked)
    if offered is None or granted is None or own.addition not in {None, asked.addition}:
        return False
    if granted.family == "EUPL" and offered.family == "CC-BY-SA" and own.identifier != "CC-BY-SA-3.0":
        return False  # the appendix names the unported licence
    return any(span.holds(offered) for span in _permitted(granted))


def _family(term: Term) -> Span | None:
    """The versions that a licence offers to choose from."""
    for family, form, _ in _FAMILIES:
        match = form.fullmatch(term.identifier)
        if match is not None:
            later = term.later or term.identifier.endswith("-or-later")
            return _since(family, match[1]) if later else _only(family, match[1])
    return None


def _permitted(granted: Span) -> list[Span]:
    """Everything under which what was made from a work that is offered under these versions may be published."""
    upgrades = next(upgrades for family, _, upgrades in _FAMILIES if family == granted.family)
    own = Span(granted.family, granted.first, _OPEN) if granted.first >= upgrades else granted
    if granted.family == "MPL" and granted.first < (2, 0):
        granted = Span(
            "MPL", granted.first, min(granted.last, (1, 1))
        )  # its offer of 2.0 is without the secondary ones
    return [own, *(span for version, listed in _COMPATIBLE if granted.holds(version) for span in listed)]
