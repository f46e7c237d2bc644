# SPDX-License-Identifier: Apache-2.0
"""Prometheus's configuration: whom to scrape, and which file of rules to evaluate."""

from collections.abc import Sequence
from typing import Any

from network.monitoring.targets import Target

RULES_FILE = "rules.yaml"
_META = "__meta_kubernetes_pod"


def static(targets: Sequence[Target]) -> dict[str, Any]:
    """The configuration for programs whose addresses are known."""
    jobs = []
    for job in dict.fromkeys(target.job for target in targets):
        groups = [
            {
                "targets": [target.address],
                "labels": {"organisation": target.organisation, "instance": target.name}
                if target.organisation
                else {"instance": target.name},
            }
            for target in targets
            if target.job == job
        ]
        jobs.append({"job_name": job, "static_configs": groups})
    return _configuration(jobs)


def kubernetes() -> dict[str, Any]:
    """The configuration for a cluster: every pod of the chart is found by its annotations, in any namespace.

    The labels are the same as those of `static`, so that rules and dashboard hold for both.
    """
    relabelling = [
        {"source_labels": [f"{_META}_label_app_kubernetes_io_name"], "regex": "pedigree", "action": "keep"},
        {"source_labels": [f"{_META}_annotation_prometheus_io_scrape"], "regex": "true", "action": "keep"},
        {
            "source_labels": [f"{_META}_ip", f"{_META}_annotation_prometheus_io_port"],
            "regex": "(.+);(.+)",
            "replacement": "$1:$2",
            "target_label": "__address__",
        },
        # One of the declared ports is enough: each would make a target of its own.
        {"source_labels": [f"{_META}_container_port_name"], "regex": "operations|health", "action": "keep"},
        {"source_labels": [f"{_META}_label_app_kubernetes_io_component"], "target_label": "job"},
        {
            "source_labels": [f"{_META}_label_pedigree_orderer"],
            "regex": "true",
            "replacement": "orderer",
            "target_label": "job",
        },
        {"source_labels": [f"{_META}_label_app_kubernetes_io_instance"], "target_label": "organisation"},
        {"source_labels": [f"{_META}_name"], "target_label": "instance"},
    ]
    job = {
        "job_name": "pedigree-pods",
        "kubernetes_sd_configs": [{"role": "pod"}],
        "relabel_configs": relabelling,
    }
    return _configuration([job])


def _configuration(jobs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [RULES_FILE],
        "scrape_configs": jobs,
    }
