# SPDX-License-Identifier: Apache-2.0
"""Writes a folder that Prometheus and Grafana are given."""

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from network.monitoring.dashboard import dashboard
from network.monitoring.prometheus import RULES_FILE, kubernetes, static
from network.monitoring.targets import Target

RULES = Path(__file__).parent / RULES_FILE


def export(targets: Sequence[Target], folder: Path) -> tuple[str, ...]:
    """Write configuration, rules and dashboard, and answer the files' names; raises `OSError`.

    A file that is there is replaced: what a site adds belongs into files of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "prometheus.yaml": yaml.safe_dump(static(targets), sort_keys=False),
        "prometheus-kubernetes.yaml": yaml.safe_dump(kubernetes(), sort_keys=False),
        RULES_FILE: RULES.read_text(encoding="utf-8"),
        "dashboard.json": json.dumps(dashboard(), indent=1) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(texts)
