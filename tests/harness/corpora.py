# SPDX-License-Identifier: Apache-2.0
"""Bad input, made by us and always the same: documents, texts and graphs with what each reader owes them.

Each item names itself, so that a test that fails says which one it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

WIDE = 200_000
"""Members of the widest object."""


class Document(NamedTuple):
    """Bytes that are JSON, or nearly."""

    name: str
    content: bytes
    plain: bool = False
    """Whether the ledger's own reader takes it."""
    record: bool = False
    """Whether it is one JSON object (RFC 8259) that a line of a file may hold."""


def _wide(members: int) -> bytes:
    return b"{" + b",".join(b'"k%d":0' % number for number in range(members)) + b"}"


def _deep(depth: int, within: bytes = b"0") -> bytes:
    return b'{"a":' * depth + within + b"}" * depth


_WHOLE = b'{"id":"a","n":[1,{"x":null}],"t":"\\u00e9"}'

DOCUMENTS: Sequence[Document] = (
    Document("an empty one", b""),
    Document("blanks alone", b" \t "),
    Document("NaN", b'{"a":NaN}'),
    Document("an infinity", b'{"a":Infinity}'),
    Document("minus infinity", b'{"a":-Infinity}'),
    Document("a number beyond a double", b'{"a":1e999}', record=True),
    Document("a number next to zero", b'{"a":1e-999}', record=True),
    Document("minus zero", b'{"a":-0}', plain=True, record=True),
    Document("minus zero with a point", b'{"a":-0.0}', record=True),
    Document("the largest integer", b'{"a":9007199254740991}', plain=True, record=True),
    Document("an integer that loses digits", b'{"a":9007199254740992}', record=True),
    Document("an integer of 10,000 digits", b'{"a":' + b"9" * 10_000 + b"}", record=True),
    Document("a fraction of 10,000 digits", b'{"a":0.' + b"9" * 10_000 + b"}", record=True),
    Document("a zero in front", b'{"a":01}'),
    Document("a plus in front", b'{"a":+1}'),
    Document("a point in front", b'{"a":.5}'),
    Document("a point behind", b'{"a":1.}'),
    Document("hexadecimal digits", b'{"a":0x10}'),
    Document("digits of another script", '{"a":١}'.encode()),
    Document("a member twice", b'{"a":1,"a":2}'),
    Document("a member twice, far inside", b'{"a":[{"b":1,"b":1}]}'),
    Document("a member twice, written otherwise", b'{"a":1,"\\u0061":2}'),
    Document("depth 32", _deep(32), plain=True, record=True),
    Document("depth 33", _deep(33), record=True),
    Document("depth 100,000", _deep(100_000)),
    Document("lists to depth 100,000", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    Document("depth without an end", b'{"a":[' * 50_000),
    Document("very many members", _wide(WIDE), plain=True, record=True),
    Document("a million members, more than 8 MiB", _wide(1_000_000)),
    Document("something behind it", b"{} {}"),
    Document("a bracket too many", b"{}}"),
    Document("a comma too many", b'{"a":1,}'),
    Document("a comment", b"{} // nothing"),
    Document("single quotation marks", b"{'a':1}"),
    Document("names without quotation marks", b"{a:1}"),
    Document("a mark of byte order within", b'{"a":1,\xef\xbb\xbf"b":2}'),
    Document("UTF-16", '{"a":1}'.encode("utf-16")),
    Document("UTF-32", '{"a":1}'.encode("utf-32")),
    Document("bytes that are not UTF-8", b'{"a":"\xff"}'),
    Document("an overlong slash", b'{"a":"\xc0\xaf"}'),
    Document("half a surrogate pair", b'{"a":"\\ud800"}', record=True),
    Document("half a surrogate pair as bytes", b'{"a":"\xed\xa0\x80"}'),
    Document("a whole surrogate pair", b'{"a":"\\ud83d\\ude00"}', plain=True, record=True),
    Document("a control character", b'{"a":"\x01"}'),
    Document("a tab in a text", b'{"a":"\t"}'),
    Document("a NUL", b'{"a":"\0"}'),
    Document("a NUL that is escaped", b'{"a":"\\u0000"}', plain=True, record=True),
    Document("an escape that is none", b'{"a":"\\x41"}'),
    Document("an escape that is cut off", b'{"a":"\\u00"}'),
    Document("not in normal form C", '{"a":"e\u0301"}'.encode(), record=True),
    Document("a name that is not ASCII", '{"é":1}'.encode(), record=True),
    Document("a list", b"[1]", plain=True),
    Document("a text", b'"a"', plain=True),
    Document("null", b"null", plain=True),
    Document("a whole one", _WHOLE, plain=True, record=True),
    *(Document(f"cut off after {end} bytes", _WHOLE[:end]) for end in range(1, len(_WHOLE))),
)


class Word(NamedTuple):
    """A text that somebody may write where an id is wanted."""

    name: str
    text: str
    is_id: bool
    """Whether it can be the id of a record or of a subject."""


WORDS: Sequence[Word] = (
    Word("nothing", "", False),
    Word("one letter", "a", True),
    Word("256 letters", "x" * 256, True),
    Word("257 letters", "x" * 257, False),
    Word("a megabyte", "x" * (1 << 20), False),
    Word("é in one", "caf\u00e9", True),
    Word("é in two", "cafe\u0301", False),
    Word("Å in one", "\u00c5", True),
    Word("the sign for ångström", "\u212b", False),
    Word("Hangul in parts", "\u1112\u1161\u11ab", False),
    Word("a ligature", "\ufb01n", True),
    Word("full width", "\uff41", True),
    Word("Latin letters", "paypal", True),
    Word("Cyrillic letters among them", "p\u0430ypal", True),
    Word("nothing that is wide", "a\u200bb", False),
    Word("a joiner", "a\u200db", False),
    Word("a mark of byte order", "\ufeffa", False),
    Word("a soft hyphen", "a\u00adb", False),
    Word("from right to left", "a\u202eb", False),
    Word("isolated", "\u2066a\u2069", False),
    Word("a tag", "a\U000e0041", False),
    Word("a blank that does not break", "a\u00a0b", False),
    Word("an em space", "a\u2003b", False),
    Word("a line separator", "a\u2028b", False),
    Word("a next line", "a\u0085b", False),
    Word("a bell", "a\x07b", False),
    Word("an escape", "\x1b[2J", False),
    Word("delete", "a\x7f", False),
    Word("U+0000", "a\0b", False),
    Word("U+10FFFF", "a\U0010ffffb", False),
    Word("U+FFFE", "a\ufffeb", False),
    Word("for private use", "\ue000", False),
    Word("a blank", "a b", True),
    Word("blanks at the ends", " a ", True),
    Word("the parent folder", "../../etc/passwd", True),
    Word("the same, escaped", "%2e%2e%2f", True),
    Word("backslashes", "..\\a", True),
    Word("a device of Windows", "CON", True),
    Word("an address", "file:///etc/passwd", True),
    Word("what separates in addresses", "a?b=c&d#e+f%", True),
    Word("what separates in references", "dataset-version:d:1", True),
    Word("quotation marks", "'\"`", True),
    Word("SQL", "' OR 1=1; --", True),
    Word("a formula", "=1+1", True),
    Word("angle brackets", "<script>", True),
    Word("braces", "{{7*7}}${x}", True),
    Word("a number", "7", True),
    Word("a number with a zero", "07", True),
    Word("minus zero", "-0", True),
    Word("digits of another script", "\u0667", True),
    Word("an emoji", "\U0001f600", True),
    Word("null", "null", True),
)


# -- graphs ----------------------------------------------------------------------------------------------------------

Graph = Mapping[str, Sequence[str]]
"""The parents of each node; what is not among them has none."""


def chain(length: int) -> Graph:
    """`n0` is made from `n1`, and so on to the last, which is made from nothing."""
    return {f"n{low}": [f"n{high}"] for low, high in pairwise(range(length))}


def fan(width: int) -> Graph:
    """`n0` is made from very many."""
    return {"n0": [f"n{number}" for number in range(1, width + 1)]}


def diamonds(layers: int, width: int = 2) -> Graph:
    """Layers of `width` nodes, each made from all of the next: ``width ** layers`` ways from `n0` to `end`."""
    names = [["n0"], *([f"n{layer}-{place}" for place in range(width)] for layer in range(1, layers)), ["end"]]
    return {node: above for below, above in pairwise(names) for node in below}


def ring(length: int) -> Graph:
    """A chain whose last node is made from the first."""
    return {f"n{number}": [f"n{(number + 1) % length}"] for number in range(length)}


def edges(graph: Graph) -> Iterator[tuple[str, str]]:
    """Each child with each of its parents."""
    return ((child, parent) for child, parents in graph.items() for parent in parents)
