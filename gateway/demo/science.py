# SPDX-License-Identifier: Apache-2.0
"""The real work that the demonstration records: patient records as a file, and a model trained on them."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pedigree.documents import InputRole

PARAMETERS = {"penalty": "l2", "C": "1.0", "max_iter": "1000", "test_size": "0.25", "random_state": "7"}


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training left behind: the model's folder, and how good it was on records that it had not seen."""

    folder: Path
    metrics: dict[str, str]


def write_records(path: Path) -> int:
    """Write the Wisconsin diagnostic breast cancer records as CSV, one patient a line; returns how many."""
    bunch = load_breast_cancer()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as sink:
        rows = csv.writer(sink, lineterminator="\n")
        rows.writerow(["id", *(name.replace(" ", "_") for name in bunch.feature_names), "diagnosis"])
        for number, (features, target) in enumerate(zip(bunch.data, bunch.target, strict=True), start=1):
            rows.writerow([f"patient-{number:03}", *(repr(float(value)) for value in features), int(target)])
    return len(bunch.target)


def split(records: Path) -> dict[InputRole, list[str]]:
    """The ids of the records of a file that train, and of those that are held out to test."""
    ids = [row["id"] for row in _rows(records)]
    seen, unseen = train_test_split(
        ids, test_size=float(PARAMETERS["test_size"]), random_state=int(PARAMETERS["random_state"])
    )
    return {"train": seen, "test": unseen}


def _rows(records: Path) -> list[dict[str, str]]:
    with records.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def train(records: Path, folder: Path, selection: str | None = None) -> Trained:
    """Train a classifier on a part of the records of a file, and write it as two files of plain JSON.

    `selection` is what that part is called on the ledger.
    """
    by_id = {row["id"]: row for row in _rows(records)}
    names = [name for name in next(iter(by_id.values())) if name not in ("id", "diagnosis")]

    def part(ids: list[str]) -> tuple[Any, Any]:
        features = np.array([[float(by_id[each][name]) for name in names] for each in ids])
        return features, np.array([int(by_id[each]["diagnosis"]) for each in ids])

    parts = split(records)
    (seen, seen_labels), (unseen, unseen_labels) = part(parts["train"]), part(parts["test"])
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=float(PARAMETERS["C"]), max_iter=int(PARAMETERS["max_iter"]))
    )
    model.fit(seen, seen_labels)
    accuracy = accuracy_score(unseen_labels, model.predict(unseen))
    area = roc_auc_score(unseen_labels, model.predict_proba(unseen)[:, 1])
    scaler, classifier = model.steps[0][1], model.steps[1][1]
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "coefficients": classifier.coef_[0].tolist(),
        "intercept": float(classifier.intercept_[0]),
    }
    named = {} if selection is None else {"selection": selection}
    (folder / "weights.json").write_text(json.dumps(weights), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"features": names, **PARAMETERS, **named}), encoding="utf-8")
    return Trained(folder, {"accuracy": f"{accuracy:.6f}", "roc_auc": f"{area:.6f}"})


def measure(records: Path, folder: Path) -> dict[str, str]:
    """What a model's two files come to on the records that are held out: computed from its weights."""
    weights = json.loads((folder / "weights.json").read_text(encoding="utf-8"))
    names = json.loads((folder / "config.json").read_text(encoding="utf-8"))["features"]
    by_id = {row["id"]: row for row in _rows(records)}
    unseen = [by_id[each] for each in split(records)["test"]]
    features = np.array([[float(row[name]) for name in names] for row in unseen])
    scaled = (features - np.array(weights["mean"])) / np.array(weights["scale"])
    score = scaled @ np.array(weights["coefficients"]) + weights["intercept"]
    labels = np.array([int(row["diagnosis"]) for row in unseen])
    accuracy, area = accuracy_score(labels, score > 0), roc_auc_score(labels, score)
    return {"accuracy": f"{accuracy:.6f}", "roc_auc": f"{area:.6f}"}


def code_digest() -> str:
    """The SHA-256 of this file: the code that trained."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def environment_digest() -> str:
    """The SHA-256 of the sorted list of installed distributions and their versions."""
    installed = sorted({f"{d.metadata['Name']}=={d.version}" for d in importlib.metadata.distributions()})
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()


def alter_one_record(path: Path, record: str) -> None:
    """Change one feature of one record in a copy of the file, as an intruder or a faulty disk would."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for index, line in enumerate(lines):
        if line.startswith(record + ","):
            fields = line.split(",")
            fields[1] = repr(float(fields[1]) + 0.01)
            lines[index] = ",".join(fields)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
