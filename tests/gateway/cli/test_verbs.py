# SPDX-License-Identifier: Apache-2.0
"""Each verb of the command line asks the gateway for what it says, and prints the answer for people and programs."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import pytest
from click.testing import CliRunner, Result

from gateway.api.operations import EXAMPLES, OPERATIONS
from gateway.api.rows import Operation
from gateway.cli import main
from gateway.cli.exits import Exit
from gateway.cli.verbs import add_verbs
from gateway.rest.schemas import Components

DONE = {
    "record": {"kind": "model", "model": "net", "recorded_at": 1_795_397_823_449},
    "event": {"name": "ModelRegistered"},
    "transaction": {"id": "ab" * 32, "block": 6},
}
STATUS = {"stage": "submitted", "status": {"endorsed_by": [], "rejected_by": [], "missing": 2, "may_endorse": ["AMSP"]}}
REF = "model-version:net:1"
RUN = {"code": {"digest": "ab" * 32}, "environment": {"digest": "cd" * 32}, "started": 1, "finished": 2, "note": "n"}
EVALUATION = {
    "subject": REF,
    "digest": "ab" * 32,
    "data": {"version": "dataset-version:d:1", "root": "ef" * 32},
    "metrics": [{"name": "accuracy", "value": "1"}],
    "evaluated_at": 3,
}
POLICY = {"number": 1, "members": [], "rules": [], "amendment_threshold": 2}
DATASET = {"title": "T", "origin": {"source": "s", "method": "m"}, "sensitivity": "public", "card": "c"}


class Gateway:
    """Answers every request with `answer` and remembers the last one."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: Any = DONE
        self.requests: list[tuple[str, Any]] = []
        self.keys: list[str | None] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                gateway.keys.append(self.headers.get("Idempotency-Key"))
                is_json = "json" in self.headers.get("Content-Type", "")
                gateway.requests.append((f"{self.command} {self.path}", json.loads(body) if is_json and body else body))
                content = json.dumps(gateway.answer).encode()
                self.send_response(gateway.status)
                self.send_header("Content-Length", str(len(content)))
                if gateway.status == 503:
                    self.send_header("Retry-After", "600")  # longer than `run` is patient: it gives up at once
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 - as above

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--url", self.url, "--key", "id.secret", "--timeout", "5"])


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    found = Gateway()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.mark.parametrize(
    ("arguments", "request_line", "body"),
    [
        (("model", "register", "net", "--title", "T"), "POST /v1/models", {"model": "net", "title": "T"}),
        (("submit", REF), f"POST /v1/artifacts/{REF}/submission", {}),
        (("endorse", REF, "--digest", "00"), f"POST /v1/artifacts/{REF}/endorsements", {"digest": "00"}),
        (("reject", REF, "--reason", "r"), f"POST /v1/artifacts/{REF}/rejections", {"reason": "r"}),
        (("withdraw", REF, "--reason", "r"), f"POST /v1/artifacts/{REF}/withdrawal", {"reason": "r"}),
        (("quarantine", REF, "--reason", "r"), f"POST /v1/artifacts/{REF}/quarantine", {"reason": "r"}),
        (("release", REF, "--reason", "r"), f"POST /v1/artifacts/{REF}/release", {"reason": "r"}),
        (("advance", REF, "deployed"), f"POST /v1/artifacts/{REF}/stage", {"to": "deployed"}),
        (("run", "record", "r", "{run}"), "POST /v1/runs", {"run": "r", **RUN}),
        (("evaluation", "record", "e", "{evaluation}"), "POST /v1/evaluations", {"evaluation": "e", **EVALUATION}),
        (
            ("deployment", "record", "w", REF, "--location", "ward 3", "--territories", "DE", "--territories", "US-WI"),
            "POST /v1/deployments",
            {"deployment": "w", "version": REF, "location": "ward 3", "territories": ["DE", "US-WI"]},
        ),
        (("deployment", "end", "w", "--reason", "r"), "POST /v1/deployments/w/end", {"reason": "r"}),
        (
            ("evaluation", "record", "e", "{evaluation}", "--criteria", "bar"),
            "POST /v1/evaluations",
            {"evaluation": "e", "criteria": "bar", **EVALUATION},
        ),
        (
            (
                "criteria",
                "register",
                "bar",
                "--title",
                "T",
                "--selection",
                "selection:d:1:test",
                "--criterion",
                "top-1 accuracy >= 0.90",
                "--criterion",
                "loss<1e-3",
            ),
            "POST /v1/criteria",
            {
                "criteria": "bar",
                "title": "T",
                "version": "dataset-version:d:1",
                "selection": "selection:d:1:test",
                "all_of": [
                    {"metric": "top-1 accuracy", "comparator": ">=", "threshold": "0.90"},
                    {"metric": "loss", "comparator": "<", "threshold": "1e-3"},
                ],
            },
        ),
        (("policy", "vote", "{policy}"), "POST /v1/policies", POLICY),
        (
            ("dataset", "register", "d", "--licence", "MIT", "--fields", "{dataset}"),
            "POST /v1/datasets",
            {"dataset": "d", "licence": "MIT", **DATASET},
        ),
    ],
)
def test_a_verb_records_what_it_says(
    gateway: Gateway, tmp_path: Path, arguments: tuple[str, ...], request_line: str, body: Any
) -> None:
    files = {"run": RUN, "evaluation": EVALUATION, "policy": POLICY, "dataset": DATASET}
    for name, fields in files.items():
        (tmp_path / name).write_text(json.dumps(fields))
    filled = [argument.format_map({name: tmp_path / name for name in files}) for argument in arguments]
    printed = gateway.run(*filled)
    assert printed.exit_code == 0, printed.output
    assert gateway.requests == [(request_line, body)]
    assert printed.stdout.startswith(f"ModelRegistered in block 6, transaction\n{'ab' * 32}\n")
    assert "2026-11-23" in printed.stdout
    assert json.loads(gateway.run(*filled, "--json").stdout)["transaction"]["block"] == 6
    assert gateway.run(*filled, "--idempotency-key", "earlier").exit_code == 0
    assert gateway.keys[-1] == "earlier"
    assert gateway.run(*filled, "--idempotency-key", "two words").exit_code == Exit.USAGE


def test_options_say_what_is_in_an_object_of_the_body_and_go_before_a_file(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "fields.json").write_text(json.dumps(DATASET))
    said = "--licence MIT --sensitivity personal --basis consent --method n --geography DE --geography US-WI"
    printed = gateway.run("dataset", "register", "d", "--fields", str(tmp_path / "fields.json"), *said.split())
    assert printed.exit_code == 0, printed.output
    origin = {"source": "s", "method": "n", "geography": ["DE", "US-WI"]}
    taken = {"licence": "MIT", "sensitivity": "personal", "basis": "consent", "origin": origin}
    assert gateway.requests == [("POST /v1/datasets", {**DATASET, "dataset": "d", **taken})]


@pytest.mark.parametrize(
    ("arguments", "fields", "says"),
    [
        (("model", "register", "net"), {}, "the field 'title' is missing"),
        (("model", "register", "net", "--fields", "{file}"), {"titel": "T"}, "'titel' is not a field of this record"),
        (("policy", "vote", "{file}"), {**POLICY, "quorum": 1}, "it has amendment_roles, amendment_threshold"),
        (("run", "record", "r", "{file}"), {"metrcs": []}, "'metrcs' is not a field of this record"),
        (("run", "record", "r", "{file}"), {"code": {}}, "the field 'environment' is missing"),
    ],
)
def test_a_field_that_is_missing_or_that_no_record_has_is_named_and_nothing_is_sent(
    gateway: Gateway, tmp_path: Path, arguments: tuple[str, ...], fields: dict[str, Any], says: str
) -> None:
    file = tmp_path / "fields.json"
    file.write_text(json.dumps(fields))
    printed = gateway.run(*(argument.format(file=file) for argument in arguments))
    assert printed.exit_code == Exit.USAGE, printed.output
    assert says in printed.stderr
    assert (str(file) in printed.stderr) == ("{file}" in arguments)
    assert printed.stderr.count("\n") == 1
    assert gateway.requests == []


def test_a_recording_whose_outcome_is_not_known_names_the_key_that_continues_it(gateway: Gateway) -> None:
    gateway.status, gateway.answer = 503, {"code": "behind", "detail": "No room.", "retryable": True}
    failed = gateway.run("submit", REF)
    key = gateway.keys[-1]
    assert (failed.exit_code, failed.stderr) == (
        Exit.UNAVAILABLE, f"pedigree: No room. [behind] (to continue: the same command with --idempotency-key {key})\n",
    )  # fmt: skip
    error = json.loads(gateway.run("submit", REF, "--json").stderr)
    assert (error["detail"], error["facts"]["idempotency_key"]) == ("No room.", gateway.keys[-1])


@pytest.mark.parametrize(
    ("arguments", "request_line"),
    [
        (("dataset", "show", "d"), "GET /v1/datasets/d"),
        (("dataset", "show", "d", "2"), "GET /v1/datasets/d/versions/2"),
        (("model", "show", "m"), "GET /v1/models/m"),
        (("model", "show", "m", "2"), "GET /v1/models/m/versions/2"),
        (("run", "show", "r"), "GET /v1/runs/r"),
        (("policy", "show"), "GET /v1/policies/current"),
        (("ledger",), "GET /v1/ledger"),
    ],
)
def test_a_verb_shows_what_it_says(gateway: Gateway, arguments: tuple[str, ...], request_line: str) -> None:
    printed = gateway.run(*arguments)
    assert printed.exit_code == 0, printed.output
    assert gateway.requests[0][0] == request_line
    assert json.loads(gateway.run(*arguments, "--json").stdout) == DONE


DERIVED = [operation for operation in OPERATIONS if "cli" not in operation.odd]
each_derived = pytest.mark.parametrize("operation", DERIVED, ids=lambda operation: operation.name)


def arguments_of(operation: Operation, file: Path) -> list[str]:
    """What calls an operation on the command line, with everything that must be given."""
    places = [EXAMPLES[name] for name in operation.places]
    bound = operation.body.bound.values() if operation.body else []
    positional = [value.format_map(EXAMPLES) for value in bound] if operation.body else places
    example = example_of(operation)
    fields = [str(EXAMPLES.get(name, example.get(name, "x"))) for name in operation.verb.arguments]
    files = {"argument": [str(file)], "option": ["--fields", str(file)], "": []}[operation.verb.file]
    asked = [each.name for each in operation.parameters if each.required and not operation.records]
    options = [word for name in (*operation.verb.required, *asked) for word in (f"--{name}", "x")]
    return [*operation.verb.words.split(), *positional, *fields, *files, *options]


def example_of(operation: Operation) -> dict[str, Any]:
    """A body of a recording."""
    if operation.body is None:
        return {}
    components = Components()
    fields: dict[str, Any] = components.example(components.body(operation))
    return fields


def fields_of(operation: Operation) -> dict[str, Any]:
    """What a file must say for a recording, beside the command line."""
    fields = example_of(operation)
    return {name: value for name, value in fields.items() if name not in operation.verb.arguments}


@each_derived
def test_every_derived_verb_asks_what_its_row_says(gateway: Gateway, tmp_path: Path, operation: Operation) -> None:
    file = tmp_path / "fields.json"
    file.write_text(json.dumps(fields_of(operation)))
    paged = operation.answer.paged
    gateway.answer = {"items": [DONE], "next": None} if paged else DONE
    arguments = arguments_of(operation, file)
    printed = gateway.run(*arguments)
    assert printed.exit_code == 0, printed.output
    ((asked, body),) = gateway.requests
    method, target = asked.split(" ")
    assert (method, urlsplit(target).path) == (operation.method, operation.path.format_map(EXAMPLES))
    assert (body != b"") == operation.records
    assert (gateway.keys[0] is not None) == operation.records
    assert json.loads(gateway.run(*arguments, "--json").stdout) == (
        gateway.answer if paged else {**DONE, "transaction": {"id": "ab" * 32, "block": 6}}
    )
    for name in example_of(operation).keys() & {*operation.verb.arguments}:
        assert type(body[name]) is type(example_of(operation)[name])
    for name in operation.verb.required:
        assert body[name] == "x"
        without = [word for at, word in enumerate(arguments) if f"--{name}" not in arguments[max(0, at - 1) : at + 1]]
        assert gateway.run(*without).exit_code == Exit.USAGE


@each_derived
def test_every_option_of_a_derived_verb_arrives(gateway: Gateway, tmp_path: Path, operation: Operation) -> None:
    gateway.answer = {"items": [], "next": None} if operation.answer.paged else DONE
    file = tmp_path / "fields.json"
    file.write_text(json.dumps(fields_of(operation)))
    for name in operation.verb.options:
        outer, _, inner = name.rpartition(".")
        assert gateway.run(*arguments_of(operation, file), f"--{inner}", "said").exit_code == 0
        body = gateway.requests[-1][1]
        assert (body[outer] if outer else body)[inner] == (["said"] if name in operation.verb.several else "said")
    # Of what records, parameters say how an upload is taken, which no derived verb sends.
    for parameter in (*(() if operation.records else operation.parameters), *operation.filters):
        value = {"number": "2", "text": "said", "choice": ("", *parameter.choices)[-1]}[parameter.form]
        assert (
            gateway.run(*arguments_of(operation, file), f"--{parameter.name.replace('_', '-')}", value).exit_code == 0
        )
        assert parse_qs(urlsplit(gateway.requests[-1][0]).query)[parameter.name] == [value]


def test_a_list_reads_as_many_pages_as_its_limit_asks_for(gateway: Gateway) -> None:
    gateway.answer = {"items": [DONE] * 100, "next": "more"}
    printed = gateway.run("model", "list", "--limit", "250", "--owner", "AMSP")
    queries = [parse_qs(urlsplit(asked.split(" ")[1]).query) for asked, _ in gateway.requests]
    assert [query["limit"] for query in queries] == [["100"], ["100"], ["50"]]
    assert [query.get("cursor") for query in queries] == [None, ["more"], ["more"]]
    assert all(query["owner"] == ["AMSP"] for query in queries)
    assert "go on with --cursor more" in printed.stdout
    gateway.answer = {"items": [], "next": None}
    assert gateway.run("model", "list").stdout == "There is none.\n"


def test_a_verb_that_does_not_follow_from_a_row_must_be_named_in_the_table() -> None:
    with pytest.raises(ValueError, match="model verify"):
        add_verbs(click.Group(), {})


def test_an_artifact_and_the_inbox_are_told_in_words(gateway: Gateway) -> None:
    gateway.answer = STATUS
    assert f"{REF} is submitted" in gateway.run("artifact", REF).stdout
    gateway.answer = {**STATUS, "stage": "approved", "quorum_lost": True}
    assert f"{REF} is approved, quorum lost" in gateway.run("artifact", REF).stdout
    gateway.answer = {"organisation": "AMSP", "items": [], "next": None}
    assert gateway.run("inbox").stdout == "Nothing awaits AMSP's endorsement.\n"
    gateway.answer["items"].append({"artifact": REF, "owner": "BMSP", "since": 1_795_397_823_449})
    assert "2026-11-23" in gateway.run("inbox").stdout
    gateway.answer["next"] = "bmV4dA=="
    assert "go on with --cursor bmV4dA==" in gateway.run("inbox", "--limit", "3").stdout
    asked = [line for line, _ in gateway.requests[-3:]]
    assert asked == ["GET /v1/inbox?limit=3", *(f"GET /v1/inbox?cursor=bmV4dA%3D%3D&limit={left}" for left in (2, 1))]
    ends = {"run:r": "quarantined", "selection:d:1:s": "withdrawn"}
    taints = [{"cause": cause, "path": [REF, end]} for end, cause in ends.items()]
    gateway.answer = {"organisation": "AMSP", "next": None, "count": 9, "count_exact": False}
    gateway.answer["items"] = [{"artifact": REF, "owner": "BMSP", "since": 1, "tainted_by": taints}]
    shown = gateway.run("inbox", "--kind", "model-version", "--owner", "BMSP", "--since", "2026-01-01").stdout
    assert gateway.requests[-1][0] == "GET /v1/inbox?kind=model-version&owner=BMSP&since=2026-01-01&limit=100"
    assert "run:r (quarantined) and 1 more" in shown
    assert "1 of at least 9" in shown
    lost = {"status": {"for_stage": "approved"}, "quorum_lost": True, "ends_at": None}
    later = {"status": {"for_stage": "deployed"}, "quorum_lost": False, "ends_at": 86_400_000}
    gateway.answer["items"] = [{"artifact": REF, "owner": "BMSP", "since": 1, **each} for each in (lost, later)]
    shown = gateway.run("inbox").stdout
    assert "lost" in shown
    assert "ends 1970-01-02T00:00:00.000Z" in shown
    assert "deployed" in shown
    gateway.answer |= {"must_stop": [{"deployment": "deployment:w", "version": REF, "duty": "must-stop"}]}
    shown = gateway.run("inbox").stdout
    assert "Must stop: their model has lost the quorum of its approval." in shown
    assert "deployment:w" in shown
    gateway.answer |= {"must_stop": [], "must_stop_complete": False}
    assert "Not all running deployments were looked at." in gateway.run("inbox").stdout
    gateway.answer["items"] = []
    assert gateway.run("inbox", "--name", "x").stdout.startswith("Nothing of that awaits AMSP's endorsement.")
    gateway.answer = {"of": REF, "nodes": [], "edges": [], "complete": True}
    assert gateway.run("lineage", REF, "--down").stdout == f"{REF}\n"
    assert gateway.requests[-1][0] == f"GET /v1/lineage/{REF}?direction=down&limit=1000"


def test_an_effective_licence_is_told_in_words(gateway: Gateway) -> None:
    answer = {"declared": "MIT", "licence": "MIT", "verdict": "met", "conditions": ["attribution"], "inherited": None,
              "offending": None, "licences": [{"licence": "MIT", "nearest": REF, "count": 1}], "ancestors": 0,
              "unknown": [], "complete": True}  # fmt: skip
    gateway.answer = answer
    told = [line.split(maxsplit=1) for line in gateway.run("licence", "show", REF).stdout.splitlines()]
    assert gateway.requests[-1][0] == f"GET /v1/lineage/{REF}/licence?limit=1000"
    assert [line[0] for line in told] == ["field", "declared", "effective", "asks", "ancestors"]
    assert told[3][1].split() == ["for", "attribution"]
    alone = gateway.run("licence", "show", REF, "--as-of", "7", "--limit", "5").stdout
    assert gateway.requests[-1][0] == f"GET /v1/lineage/{REF}/licence?as_of=7&limit=5"
    assert "no ancestor is recorded" in alone
    assert "Incomplete" not in alone
    gateway.answer = answer | {
        "licence": None, "verdict": "none", "conditions": None, "inherited": "CC-BY-NC-4.0", "ancestors": 2_000,
        "offending": {"detail": "It does not keep it.", "path": [REF, "run:r"]}, "complete": False,
    }  # fmt: skip
    wrong = gateway.run("licence", "show", REF).stdout
    assert "none of these licences keeps what each of the others asks for" in wrong
    assert "asks for " not in wrong.replace("others asks for", "")
    assert "Does not fit: It does not keep it." in wrong
    assert "Incomplete: 2,000 ancestors were looked at, and there are more." in wrong
    gateway.answer |= {"unknown": ["run:x"], "declared": None, "verdict": "undecided"}
    unknown = gateway.run("licence", "show", REF).stdout
    assert "the licences of these are not known: run:x." in unknown
    assert "not known here" in unknown
    assert "some of these licences cannot be compared" in unknown


def test_records_are_sent_as_they_are_and_differences_named(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    file.write_bytes(b"id\n1\n")
    options = ("--id-field", "id", "--consent", "ConsentGiven", "--purpose", "research", "--purpose", "care")
    assert gateway.run("dataset", "commit", "d", str(file), *options).exit_code == 0
    line, body = gateway.requests[-1]
    assert line == "POST /v1/datasets/d/versions?id_field=id&consent=ConsentGiven&purposes=research%2Ccare"
    assert body == b"id\n1\n"
    derived = ("--parent", "dataset-version:a:1", "--parent", "dataset-version:b:2", "--activity", "join")
    assert gateway.run("dataset", "commit", "d", str(file), *derived).exit_code == 0
    parents = "parents=dataset-version%3Aa%3A1%2Cdataset-version%3Ab%3A2&activity=join"
    assert gateway.requests[-1][0] == f"POST /v1/datasets/d/versions?consent=ConsentUnknown&{parents}"
    assert gateway.run("dataset", "commit", "d", str(file), "--delimiter", "tab").exit_code == 0
    assert gateway.requests[-1][0] == "POST /v1/datasets/d/versions?delimiter=tab&consent=ConsentUnknown"
    gateway.answer = {"verified": False, "columns": ["'a' is missing"], "unreadable": "line 1: …", "changed": []}
    report = gateway.run("dataset", "verify", "d", "1", str(file), "--delimiter", ";")
    assert gateway.requests[-1][0] == "POST /v1/datasets/d/versions/1/verify?delimiter=%3B"
    assert report.stdout == "columns: 'a' is missing\nnot compared: line 1: …\nNOT verified\n"
    gateway.answer = {"verified": False, "changed": ["1"], "added": [], "removed": ["2"]}
    report = gateway.run("dataset", "verify", "d", "1", str(file))
    assert (report.exit_code, report.stdout) == (1, "changed: 1\nremoved: 2\nNOT verified\n")
    gateway.answer = {"verified": True}
    assert gateway.run("dataset", "verify", "d", "1").stdout == "verified\n"


def test_model_files_are_digested_and_compared(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "w").write_bytes(b"weights")
    arguments = ("model", "record", "net", str(tmp_path / "m"), "--licence", "MIT", "--number", "1", "--run", "r")
    assert gateway.run(*arguments).exit_code == 0
    body = gateway.requests[-1][1]
    assert body["ignore_paths"] == [".git", ".gitattributes", ".github", ".gitignore"]
    assert (body["number"], body["run"], [entry["path"] for entry in body["files"]]) == (1, "r", ["w"])
    gateway.answer = {"record": {"files": body["files"]}, "transaction": {}}
    assert gateway.run("model", "verify", "net", "1", str(tmp_path / "m")).stdout == "verified\n"
    (tmp_path / "m" / "w").write_bytes(b"others")
    assert gateway.run("model", "verify", "net", "1", str(tmp_path / "m")).stdout == "changed: w\nNOT verified\n"


def test_files_that_are_as_they_were_when_recorded_are_not_read_again(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(name.encode())
    now = time.time_ns
    monkeypatch.setattr("pedigree.remembering.time.time_ns", lambda: now() + 10**10)
    arguments = ("model", "record", "net", str(folder), "--licence", "MIT")
    assert "as they were" not in gateway.run(*arguments).stderr
    before = gateway.requests[-1][1]["files"]
    (folder / "b").write_bytes(b"changed")
    again = gateway.run(*arguments)
    assert "1 of 2 files are as they were when last recorded; --full reads all" in again.stderr
    assert gateway.requests[-1][1]["files"] == [
        before[0], {"path": "b", "digest": hashlib.sha256(b"changed").hexdigest(), "size": 7}
    ]  # fmt: skip
    assert "as they were" not in gateway.run(*arguments, "--full").stderr
    gateway.status, gateway.answer = 409, {"code": "already-exists", "detail": "It is there."}
    (folder / "a").write_bytes(b"refused")
    assert gateway.run(*arguments).exit_code == Exit.REFUSED
    gateway.status, gateway.answer = 200, DONE
    assert "1 of 2 files" in gateway.run(*arguments).stderr  # what the ledger refused is not remembered


def test_evidence_is_written_to_a_file_only_when_there_is_some(gateway: Gateway, tmp_path: Path) -> None:
    output = tmp_path / "proof.json"
    assert gateway.run("dataset", "proof", "d", "1", "a/b", str(output)).exit_code == 0
    assert gateway.requests[-1][0] == "GET /v1/datasets/d/versions/1/proof?id=a%2Fb"
    assert json.loads(output.read_text()) == DONE
    gateway.status, gateway.answer = 404, {"code": "not-found", "detail": "No such record."}
    refused = gateway.run("dataset", "proof", "d", "1", "x", str(tmp_path / "none.json"))
    assert (refused.exit_code, refused.stderr) == (Exit.NOT_FOUND, "pedigree: No such record. [not-found]\n")
    assert not (tmp_path / "none.json").exists()


def test_a_refusal_of_a_file_names_the_file_and_a_wrong_key_is_told(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    file.write_bytes(b"id\n1,2\n")
    gateway.status, gateway.answer = 422, {"code": "unreadable-records", "detail": "line 2: it has 2 fields"}
    refused = gateway.run("dataset", "commit", "d", str(file))
    assert (refused.exit_code, refused.stderr) == (
        Exit.REFUSED, f"pedigree: {file}: line 2: it has 2 fields [unreadable-records]\n",
    )  # fmt: skip
    gateway.status, gateway.answer = 401, {"code": "unauthenticated", "detail": "A valid API key is needed."}
    assert gateway.run("ledger").stderr == "pedigree: A valid API key is needed. [unauthenticated]\n"


def test_records_are_selected_by_what_is_said(gateway: Gateway, tmp_path: Path) -> None:
    (ids := tmp_path / "ids.txt").write_bytes(b"r1\nr2\n")
    place = "/v1/datasets/d/versions/1/selections"
    arguments = ("dataset", "select", "d", "1", "--as", "some", "--ids", str(ids), "--purpose", "research")
    printed = gateway.run(*arguments, "--parent", "selection:d:1:all", "--role", "test", "--idempotency-key", "k")
    assert printed.exit_code == 0, printed.output
    asked = "selection=some&purpose=research&role=test&parent=selection%3Ad%3A1%3Aall"
    assert gateway.requests == [(f"POST {place}?{asked}", b"r1\nr2\n")]
    assert gateway.keys == ["k"]
    split = ("dataset", "select", "d", "1", "--split", "train=0.8,test=0.2", "--seed", "7", "--idempotency-key", "k")
    assert gateway.run(*split).exit_code == 0
    shares = "split=train%3D0.8%2Ctest%3D0.2&seed=7"
    assert [line for line, _ in gateway.requests[1:]] == [
        f"POST {place}?selection={role}&role={role}&{shares}" for role in ("train", "test")
    ]
    assert gateway.keys[1:] == ["k-train", "k-test"]
    told = gateway.run(*split, "--as", "first", "--json")
    assert set(json.loads(told.stdout)) == {"train", "test"}
    assert "selection=first-train&" in gateway.requests[3][0]
    assert gateway.run(*split, "--by", "subject").exit_code == 0
    assert gateway.requests[-1][0].endswith(f"{shares}&split_by=subject")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--purpose", "research"), "Missing option '--as'"),
        (("--as", "x"), "say what to choose by"),
        (("--split", "train=1"), "Missing option '--seed'"),
        (("--as", "x", "--purpose", "research", "--by", "subject"), "--by is of use with --split only"),
        (("--split", "train=1", "--seed", "7", "--role", "train"), "a split records every part"),
        (("--split", "train=1", "--seed", "7", "--ids", __file__), "select the list first"),
        (("--split", "training=1", "--seed", "7"), "a split names shares"),
    ],
)
def test_what_does_not_say_which_records_to_select_is_refused_here(
    gateway: Gateway, options: tuple[str, ...], said: str
) -> None:
    refused = gateway.run("dataset", "select", "d", "1", *options)
    assert refused.exit_code == Exit.USAGE
    assert said in refused.stderr
    assert gateway.requests == []


def test_a_list_that_is_refused_is_named_and_evidence_is_written(gateway: Gateway, tmp_path: Path) -> None:
    (ids := tmp_path / "ids.txt").write_bytes(b"r1\n")
    output = tmp_path / "proof.json"
    assert gateway.run("selection", "proof", "d", "1", "some", "a/b", str(output)).exit_code == 0
    assert gateway.requests[-1][0] == "GET /v1/datasets/d/versions/1/selections/some/proof?id=a%2Fb"
    assert json.loads(output.read_text()) == DONE
    gateway.status, gateway.answer = 422, {"code": "records-unknown", "detail": "1 of the 1 ids …"}
    refused = gateway.run("dataset", "select", "d", "1", "--as", "x", "--ids", str(ids))
    assert refused.stderr == f"pedigree: {ids}: 1 of the 1 ids … [records-unknown]\n"
