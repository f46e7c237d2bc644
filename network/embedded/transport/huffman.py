# SPDX-License-Identifier: Apache-2.0
"""The Huffman code of HPACK, decoding only (RFC 7541, section 5.2 and appendix B)."""

__all__ = ["decode"]

_LENGTHS = (
    "ISXXXXXXXTZXXZXXXXXXXXZXXXXXXXXXBFFHIBDGFFDGDBBBAAABBBBBBBCDKBHFIBCCCCCCCCCCCCCCCCCCCCCCDCDIOIJBKABABABBB"
    "ACCBBBABCBAABCCCCCKGJIXPRPPRRRSRSSSSSTSTTRSTSSSSQRSRSSTRQPRRSSQSRRTQRSSQQRQSRSSPRRRSRRSVVPORSRUVVVWWVTUOQ"
    "VWWVWTQQVVXWWWPTPQRQQSRRUUTTVSVWVVWWWWWXWWWWWVZ"
)
"""The length of the code of each symbol, 0 to 256, as a letter: A is five bits, the shortest, Z is thirty."""

_END = 256
_SHORTEST = 5


def _codes() -> dict[tuple[int, int], int]:
    """The symbols by length and code. The code is canonical: it follows from the lengths alone."""
    lengths = [ord(letter) - ord("A") + _SHORTEST for letter in _LENGTHS]
    codes: dict[tuple[int, int], int] = {}
    code = length = 0
    for symbol in sorted(range(len(lengths)), key=lambda one: (lengths[one], one)):
        code <<= lengths[symbol] - length
        length = lengths[symbol]
        codes[length, code] = symbol
        code += 1
    return codes


_CODES = _codes()


def decode(encoded: bytes) -> bytes:
    """The string that was encoded; raises ValueError."""
    decoded = bytearray()
    code = length = 0
    for byte in encoded:
        for shift in range(7, -1, -1):
            code = code << 1 | byte >> shift & 1
            length += 1
            symbol = _CODES.get((length, code)) if length >= _SHORTEST else None
            if symbol is None:
                continue
            if symbol == _END:
                raise ValueError("a string holds the symbol that ends it")
            decoded.append(symbol)
            code = length = 0
    if length > 7 or code != (1 << length) - 1:
        raise ValueError("a string ends inside a symbol")
    return bytes(decoded)
