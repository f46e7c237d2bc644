# SPDX-License-Identifier: Apache-2.0
"""`pedigree verify FILE` with nothing installed but the SDK; Pedigree as a whole has every other verb besides.

`check_file` and `shown` are what the verb does there too, so that both print the same and end the same.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pedigree.consentproofs import CONSENT_KIND, ConsentVerdict, verify_consent
from pedigree.errors import InvalidEvidence, InvalidInput, PedigreeError
from pedigree.evidence import read_evidence
from pedigree.exits import MEANINGS, Exit
from pedigree.logreceipts import is_log_receipt, verify_log_receipt
from pedigree.proofs import Verdict, verify_record
from pedigree.receipts import is_receipt, verify_receipt

if TYPE_CHECKING:
    from pedigree.tlog.receipts import Claim as ReceiptClaim
    from pedigree.tlog.receipts import Verdict as ReceiptVerdict

    AnyVerdict = Verdict | ConsentVerdict | ReceiptVerdict | ReceiptClaim

_HELP: Final = """FILE is evidence of a record, or of the consent of a subject, or the receipt of a log. It prints what
that is about, and says in plain words what was proven, what a ledger's answer that you give adds, what only the file
says, and what was not proven. A root does not bind how many records are under it: only with --size or --ledger is the
position of a record proven. A file about a selection is verified with a --ledger for each, the version and the
selection. What the owner's own purposes are called, a --ledger with what `purpose list --json` printed says. A receipt
proves what the logs and witnesses of a --policy say. Without any of these the file agrees with
itself only, which anyone can arrange, and the exit code is 3."""
_CODES: Final = (Exit.DONE, Exit.DISAGREES, Exit.USAGE, Exit.UNPROVEN, Exit.FAILED)
_WIDEST_TEXT: Final = 110


def check_file(
    file: Path | str,
    *,
    root: str | None = None,
    size: int | None = None,
    ledger: Path | str | Sequence[Path | str] | None = None,
    policy: Path | str | None = None,
    transaction: str | None = None,
) -> "AnyVerdict":
    """The verdict on a file of evidence.

    Args:
        file: what `Pedigree.record_proof`, `Pedigree.selection_proof` or `Pedigree.consent_proof` answered.
        root: the root of its version in hex, from a ledger that the caller trusts.
        size: the number of records under it, from the same ledger; only for the evidence of a record.
        ledger: instead of both, a file with the ledger's answer for the version; one with that for the selection; and
            files with what it answered for registered purposes.
        policy: for the receipt of a log, a file that says which logs and witnesses the caller trusts.
        transaction: with it, the id of the transaction that the receipt must be about.

    Raises `InvalidEvidence`, which names the file, where it is refuted or malformed, `InvalidInput` for what cannot be
    combined, `ValueError` for a `ledger` that holds no answer and for a signed statement, and `OSError`.
    """
    if is_log_receipt(file):
        if root is not None or size is not None or ledger:
            raise InvalidInput("--root, --size and --ledger are for the evidence of a record", field="ledger")
        return verify_log_receipt(file, policy=policy, transaction=transaction)
    if policy is not None or transaction is not None:
        raise InvalidInput("--policy and --transaction are for the receipt of a log", field="policy")
    return _check_document(file, root, size, ledger)


def _check_document(
    file: Path | str, root: str | None, size: int | None, ledger: Path | str | Sequence[Path | str] | None
) -> Verdict | ConsentVerdict:
    """The verdict on a file that is a JSON object."""
    if size is not None and root is None:
        raise InvalidInput("--size is of use with its --root only", field="size")
    version, selection, purposes = _answers([ledger] if isinstance(ledger, Path | str) else ledger or ())
    if version is not None and root is not None:
        raise InvalidInput("give --ledger, or --root and --size, and not both", field="ledger")
    try:
        evidence = read_evidence(file)
        if evidence.get("kind") == "transaction-evidence":
            raise ValueError(
                f"{file} is evidence of a transaction, which Pedigree as a whole checks; the SDK alone does not"
            )
        if _is_statement(evidence):
            raise ValueError(f"{file} is a signed statement, which Pedigree as a whole checks; the SDK alone does not")
        if is_receipt(evidence) or evidence.get("kind") == CONSENT_KIND:
            if size is not None:
                raise InvalidInput("--size is for the evidence of a record", field="size")
            if selection is not None:
                raise InvalidInput("a selection is of use with the evidence of a record", field="ledger")
            check = verify_receipt if is_receipt(evidence) else verify_consent
            return check(evidence, root=root, version=version, purposes=purposes)
        return verify_record(evidence, root=root, size=size, version=version, selection=selection, purposes=purposes)
    except InvalidEvidence as exc:
        raise InvalidEvidence(f"{file} proves nothing: {exc.detail}") from None


def _answers(
    files: Sequence[Path | str],
) -> tuple[dict[str, Any] | None, dict[str, Any] | None, list[dict[str, Any]]]:
    """The ledger's answers for a version, for a selection and for purposes, out of files in any order."""
    found: dict[bool, dict[str, Any]] = {}
    purposes = []
    for file in files:
        try:
            answer = read_evidence(file)
        except InvalidEvidence as exc:
            raise ValueError(f"{file}: {exc.detail}") from None
        record = answer.get("record", answer)
        if "items" in answer or (isinstance(record, dict) and record.get("kind") == "purpose"):
            purposes.append(answer)
            continue
        is_selection = isinstance(record, dict) and record.get("kind") == "selection"
        if is_selection in found:
            raise InvalidInput("give --ledger once for the version, and once for the selection", field="ledger")
        found[is_selection] = answer
    return found.get(False), found.get(True), purposes


def _is_statement(value: dict[str, Any]) -> bool:
    """Whether a file is meant to hold the signed statement of a word on an artifact."""
    record = value.get("record", value)
    kind = record.get("kind") if isinstance(record, dict) else None
    return kind in ("endorsement", "rejection", "counter-claim") or "payloadType" in value


def parse_root(text: str) -> str:
    """The root that an argument gives, in lower case; raises `ValueError`."""
    if re.fullmatch("[0-9a-fA-F]{64}", text) is None:
        raise ValueError(f"{text!r} is not a root of 64 hexadecimal digits")
    return text.lower()


def shown(verdict: "AnyVerdict", *, as_json: bool) -> str:
    """A verdict as JSON, or as text for people."""
    if as_json:
        return json.dumps(verdict.as_json(), ensure_ascii=False, indent=2, sort_keys=True)
    return wrapped(verdict.text())


def wrapped(text: str) -> str:
    """`text` with its lines broken between words where a terminal would break them anywhere."""
    if not sys.stdout.isatty():
        return text
    width = min(get_terminal_size().columns, _WIDEST_TEXT)
    return "\n".join(
        fill(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the program; the exit codes are those of `pedigree.exits`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(given)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        code = Exit.BROKEN_PIPE
    except KeyboardInterrupt:
        code = _fail(given, Exit.STOPPED, "stopped")
    sys.exit(code)


def _run(given: Sequence[str]) -> Exit:
    try:
        options = _parser().parse_args(given)
        given_ones = {name: getattr(options, name) for name in ("root", "size", "ledger", "policy", "transaction")}
        verdict = check_file(options.file, **given_ones)
    except InvalidEvidence as exc:
        return _fail(given, Exit.DISAGREES, exc.detail, exc)
    except InvalidInput as exc:
        return _fail(given, Exit.USAGE, exc.detail, exc)
    except _Misused as exc:
        return _fail(given, Exit.USAGE, str(exc))
    except OSError as exc:
        return _fail(given, Exit.FAILED, f"{exc.filename}: {exc.strerror}")
    except ValueError as exc:
        return _fail(given, Exit.FAILED, str(exc))
    print(shown(verdict, as_json=options.as_json))
    sys.stdout.flush()
    return Exit.DONE if verdict.verified else Exit.UNPROVEN


def _fail(given: Sequence[str], code: Exit, detail: str, error: PedigreeError | None = None) -> Exit:
    """Say an error in one line on standard error, which is an object where JSON was asked for."""
    if "--json" in given:
        problem: dict[str, Any] = {"code": code.code}
        if error is not None:
            facts = {"facts": error.facts} if error.facts else {}
            problem = {"code": error.code, "retryable": error.retryable, **facts}
        line = json.dumps({**problem, "detail": detail, "exit_code": int(code)})
    else:
        words = " ".join((detail if error is None else f"{detail} [{error.code}]").split())
        line = "pedigree: " + "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in words)
    print(line, file=sys.stderr)
    return code


class _Misused(Exception):
    """The arguments are wrong."""


class _Parser(argparse.ArgumentParser):
    """As argparse's, but for errors: they are raised."""

    def error(self, message: str) -> NoReturn:
        raise _Misused(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pedigree",
        description="Check evidence from a Pedigree ledger. The other verbs come with Pedigree as a whole.",
        epilog="\n".join(("Exit codes:", *(f"  {int(code):<4} {MEANINGS[code]}" for code in _CODES))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s, version {_version()}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    verify = verbs.add_parser("verify", help="check a file of evidence offline", description=_HELP)
    verify.add_argument(
        "file",
        type=_file,
        metavar="FILE",
        help="what `pedigree dataset proof`, `selection proof` or `consent proof` wrote, or the receipt of a log",
    )
    verify.add_argument(
        "--root", type=_root, help="root of the version, as a ledger that you trust has it (64 hex digits)"
    )
    verify.add_argument("--size", type=int, help="the number of records under that root, from the same ledger")
    verify.add_argument(
        "--ledger",
        type=_file,
        action="append",
        metavar="FILE",
        help="instead: what `dataset show` or `consent version NAME NUMBER --json` printed; and `selection show`, "
        "`purpose list`",
    )
    verify.add_argument(
        "--policy", type=_file, metavar="FILE", help="of a receipt: the logs and witnesses that you trust (tlog-policy)"
    )
    verify.add_argument("--transaction", metavar="ID", help="with it: the transaction that the receipt must be about")
    verify.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    return parser


def _root(text: str) -> str:
    try:
        return parse_root(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def _file(text: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text!r} does not exist")
    return path


def _version() -> str:
    for distribution in ("pedigree-sdk", "pedigree"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "unknown"
