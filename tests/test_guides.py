# SPDX-License-Identifier: Apache-2.0
"""Every block of the documentation runs, in order, on a consortium of three organisations, and prints what is shown.

A block that cannot be run here says why above it, and the test prints that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pages import RUN, Block, Reader, Unreadable, blocks, check_form, difference, prepare
from rich.console import Console

from gateway.demo.consortium import DEFAULT_PORTS, Consortium, held_ports
from gateway.demo.story import Story

pytestmark = [pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[1]
# Pages in the order in which they are to be read; what one leaves on the ledger, the next one may use.
FIRST = ("README.md", "docs/guide/suppliers.md", "docs/guide/builders.md", "docs/guide/auditors.md",
         "docs/guide/applications.md", "docs/guide/evidence.md")  # fmt: skip
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "gateway" / "sdk" / "README.md"]
WRITTEN = ROOT / "docs" / "reference"  # from docstrings, which have signatures in it
READY = {
    "make demo KEEP=1": "its steps were played before, on ports that were free",
    "make install": "this test runs in what it makes",
}


def _pages() -> list[str]:
    """Every page that has a block, those to be read first first."""
    found = {str(path.relative_to(ROOT)) for path in DOCUMENTS if WRITTEN not in path.parents}
    return [*FIRST, *sorted(found - set(FIRST))]


def _blocks(page: str) -> list[Block]:
    return blocks(page, (ROOT / page).read_text(encoding="utf-8"))


# -- what can be said without running anything -----------------------------------------------------------------------


@pytest.mark.parametrize("page", _pages())
def test_every_block_is_run_or_says_why_not(page: str) -> None:
    for block in _blocks(page):
        check_form(block)


def test_a_block_that_no_test_would_run_is_found() -> None:
    for text, words in (
        ("```\nls\n```\n", "nothing is no language"),
        ("```console\nls\n```\n", "console is no language"),
        ("```text\nls\n```\n", "no block above prints this"),
        ("```sh\nls\n```\nIt prints\n\n```text\na\n```\n", "no block above prints this"),
        ("```sh\nls\n", "does not end"),
        ("```sh\nls\n```sh\nls\n```\n", "has not ended"),
        ("<!-- not run: no peer -->\nWords.\n", "a mark belongs to the block below"),
    ):
        with pytest.raises(Unreadable, match=words):
            blocks("page.md", text)


def test_blocks_have_their_marks_and_what_they_print() -> None:
    text = (
        "# T\n\n<!-- ends with 4 -->\n```sh\nls\n```\n\n```text\na\n```\n\n<!-- not run: no peer -->\n```sh\nup\n```\n"
    )
    first, second = blocks("page.md", text)
    assert (first.line, first.text, first.ends_with, first.reason, first.prints) == (5, "ls\n", 4, None, "a\n")
    assert (second.text, second.ends_with, second.reason, second.prints) == ("up\n", 0, "no peer", None)
    assert blocks("page.md", "<!-- saved as a.py -->\n```python\npass\n```\n")[0].file == "a.py"
    assert str(first) == "page.md:5"
    with pytest.raises(Unreadable, match=r"page.md:2: Expecting"):
        check_form(*blocks("page.md", "```json\n{'a': 1}\n```\n"))


def test_output_is_compared_but_for_what_differs_each_time() -> None:
    digest, other = "ab" * 32, "cd" * 32
    assert difference(f"root {digest} in block 7\n", f"root {other} in block 12   \n\n") is None
    assert difference("at 2026-01-01 10:00:00.123+00:00\n", "at 2027-02-02 11:11:11.456+00:00\n") is None
    assert difference("a … c\n…\nend\n", "a b c\nmore\nand more\nend\n") is None
    assert difference("…\n", "") is None
    assert "+root: 4" in str(difference("root: 3\n", "root: 4\n"))
    assert difference("a\n", "a\nb\n") is not None
    assert difference("a.c\n", "abc\n") is not None


def test_a_reader_keeps_variables_folders_and_functions_and_finds_what_is_wrong(tmp_path: Path) -> None:
    reader = Reader(_made(tmp_path), {"127.0.0.1:8101": "127.0.0.1:9"}, {"make demo": "done"})

    def follow(fence: str) -> str | None:
        (block,) = blocks("page.md", fence)
        return reader.follow(block)

    assert follow("```sh\nmake demo # first\nmkdir in && cd in\nA=127.0.0.1:8101\nf() { echo f $A; }\n```\n") is None
    assert follow("```sh\nf; basename $PWD\n```\n```text\nf 127.0.0.1:8101\nin\n```\n") is None
    assert follow("<!-- ends with 3 -->\n```sh\n(exit 3)\necho not reached\n```\n") is None
    assert "ended with 1, not with 0" in str(follow("```sh\nfalse | cat\n```\n"))
    assert follow("```python\nimport os\nx = os.path.basename(os.getcwd())\n```\n") is None
    assert follow("```python\nprint(x)\n```\n```text\nread\n```\n") is None
    assert "does not print what the page shows" in str(follow("```python\nprint(x)\n```\n```text\nno\n```\n"))
    assert 'File "page.md", line 3' in str(follow("```python\n\n1 / 0\n```\n"))
    assert follow("<!-- saved as a.sh -->\n```sh\necho saved\n```\n") is None
    assert follow("```sh\nsh ../a.sh; sleep 60 &\necho $! > process\n```\n```text\nsaved\n```\n") is None
    process = Path(f"/proc/{(tmp_path / 'read' / 'in' / 'process').read_text().strip()}/stat")
    assert process.exists()
    reader.close()
    deadline = time.monotonic() + 10
    while process.exists() and process.read_text().rpartition(")")[2].split()[0] != "Z":  # a container may not bury it
        assert time.monotonic() < deadline, "what ran in the background still runs"
        time.sleep(0.05)


# -- the running -----------------------------------------------------------------------------------------------------

_NOT_RUN = [block for page in _pages() for block in _blocks(page) if block.reason is not None and block.language in RUN]


@pytest.mark.parametrize("block", _NOT_RUN, ids=str)
def test_a_block_that_is_not_run_says_why(block: Block) -> None:
    pytest.skip(f"NOT RUN: {block}: {block.reason}")


@pytest.fixture(scope="module")
def demonstration(ledger: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """What `make demo KEEP=1` leaves running, but for its last step, which kills everything and starts it again."""
    if ledger != "embedded":
        pytest.skip("NOT RUN: the pages speak of the demonstration on the embedded network")
    consortium = Consortium(tmp_path_factory.mktemp("guides") / "demonstration", ledger, any_port=True)
    try:
        consortium.start()
        story = Story(consortium, Console(quiet=True))
        story.connect()
        for _, step in story.steps[:-1]:
            step()
        story.close()
        yield consortium
    finally:
        consortium.stop()


@pytest.fixture(scope="module")
def clone(demonstration: Consortium) -> Path:
    """The folder in which all pages are followed: what one of them writes, the next one may read."""
    folder = _made(demonstration.directory.parent)
    (folder / ".pedigree").mkdir()
    (folder / ".pedigree" / "demo-embedded").symlink_to(demonstration.directory)
    return folder


@pytest.fixture(scope="module")
def elsewhere(demonstration: Consortium) -> dict[str, str]:
    """The addresses that the pages name, and where it is that they mean."""
    with held_ports(2) as free:
        others = {"7091": str(free[0]), "8091": str(free[1])}  # of the chaincode that a page deploys
    usual = {name: f"127.0.0.1:{ports.gateway}" for name, ports in DEFAULT_PORTS.items()}
    return {place: f"127.0.0.1:{demonstration.ports[name].gateway}" for name, place in usual.items()} | others


def _made(folder: Path) -> Path:
    prepare(folder / "read", ROOT)
    return folder / "read"


_FOLLOWED = [page for page in _pages() if any(each.language in RUN for each in _blocks(page))]


@pytest.fixture(scope="module")
def follow(clone: Path, elsewhere: dict[str, str]) -> Callable[[str], list[str]]:
    """Follows a page, once, after those to be read before it; answers what is wrong with the page."""
    wrong: dict[str, list[str]] = {}

    def follow(page: str) -> list[str]:
        for each in _FOLLOWED[: _FOLLOWED.index(page) + 1]:
            if each not in wrong:
                wrong[each] = _wrong_with(each, Reader(clone, elsewhere, READY))
        return wrong[page]

    return follow


def _wrong_with(page: str, reader: Reader) -> list[str]:
    try:
        run = [block for block in _blocks(page) if block.reason is None and block.language in RUN]
        return [found for block in run if (found := reader.follow(block)) is not None]
    finally:
        reader.close()


@pytest.mark.parametrize("page", _FOLLOWED)
def test_a_page_does_what_it_says(page: str, follow: Callable[[str], list[str]]) -> None:
    wrong = follow(page)
    assert wrong == [], "\n".join(wrong)
