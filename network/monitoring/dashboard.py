# SPDX-License-Identifier: Apache-2.0
"""The Grafana dashboard, as a table of panels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SOURCE = {"type": "prometheus", "uid": "${source}"}
_WIDTH, _HEIGHT = 24, 8
_ORG = 'organisation=~"$organisation"'


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    unit: str
    """Grafana's name of it: `short`, `s`, `reqps`, `percentunit`, `bytes`, `dateTimeFromNow`."""
    queries: tuple[tuple[str, str], ...]
    """Each an expression and its legend."""
    kind: str = "timeseries"


def _rate(selector: str, *labels: str) -> str:
    return f"sum by ({', '.join(labels)}) (rate({selector}[$__rate_interval]))"


def _quantile(quantile: float, selector: str, *labels: str) -> str:
    return f"histogram_quantile({quantile}, {_rate(selector, *labels, 'le')})"


_STAGES = f'pedigree_stage_seconds_bucket{{job="gateway", {_ORG}}}'
_REQUESTS = f'pedigree_request_seconds_count{{job="gateway", {_ORG}}}'
_PEER = f'job="peer", {_ORG}'
_LONGEST = 'max by (channel) (ledger_blockchain_height{job=~"peer|orderer"})'
_DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs"'

_ROWS: tuple[tuple[str, tuple[_Panel, ...]], ...] = (
    (
        "At a glance",
        (
            _Panel("Programs that answer", "short", (("sum by (job) (up)", "{{job}}"),), "stat"),
            _Panel(
                "Raft leaders (1 is right)",
                "short",
                (('sum by (channel) (consensus_etcdraft_is_leader{job="orderer"})', "{{channel}}"),),
                "stat",
            ),
            _Panel(
                "Blocks behind the longest ledger",
                "short",
                (
                    (
                        f"{_LONGEST} - on (channel) group_right () ledger_blockchain_height{{{_PEER}}}",
                        "{{instance}}",
                    ),
                    (f'pedigree_lag_blocks{{job="gateway", {_ORG}}}', "{{instance}}"),
                ),
                "stat",
            ),
            _Panel(
                "First certificate to end",
                "dateTimeFromNow",
                (("min by (organisation) (pedigree_certificate_end_timestamp_seconds) * 1000", "{{organisation}}"),),
                "stat",
            ),
        ),
    ),
    (
        "Gateways",
        (
            _Panel(
                "Requests by status",
                "reqps",
                ((_rate(_REQUESTS, "organisation", "status"), "{{organisation}} {{status}}"),),
            ),
            _Panel(
                "Time per request, 95 %",
                "s",
                (
                    (
                        _quantile(0.95, f'pedigree_request_seconds_bucket{{job="gateway", {_ORG}}}', "operation"),
                        "{{operation}}",
                    ),
                ),
            ),
            _Panel("Stages of a submission, 95 %", "s", ((_quantile(0.95, _STAGES, "stage"), "{{stage}}"),)),
            _Panel(
                "Submissions under way",
                "short",
                ((f'pedigree_in_flight{{job="gateway", {_ORG}}}', "{{organisation}}"),),
            ),
            _Panel(
                "Retries, refusals and unknown outcomes",
                "reqps",
                (
                    (
                        _rate(f'pedigree_events_total{{job="gateway", {_ORG}}}', "organisation", "what"),
                        "{{organisation}} {{what}}",
                    ),
                ),
            ),
            _Panel(
                "Blocks in the read model",
                "short",
                ((f'pedigree_height{{job="gateway", {_ORG}}}', "{{organisation}}"),),
            ),
        ),
    ),
    (
        "Peers",
        (
            _Panel("Height", "short", ((f"ledger_blockchain_height{{{_PEER}}}", "{{instance}} {{channel}}"),)),
            _Panel(
                "Transactions by outcome",
                "reqps",
                (
                    (
                        _rate(f"ledger_transaction_count{{{_PEER}}}", "instance", "validation_code"),
                        "{{instance}} {{validation_code}}",
                    ),
                ),
            ),
            _Panel(
                "Proposals: received, refused, not run",
                "reqps",
                (
                    (_rate(f"endorser_proposals_received{{{_PEER}}}", "instance"), "{{instance}} received"),
                    (_rate(f"endorser_endorsement_failures{{{_PEER}}}", "instance"), "{{instance}} refused"),
                    (_rate(f"endorser_proposal_simulation_failures{{{_PEER}}}", "instance"), "{{instance}} not run"),
                ),
            ),
            _Panel(
                "Time per proposal, 95 %",
                "s",
                ((_quantile(0.95, f"endorser_proposal_duration_bucket{{{_PEER}}}", "instance"), "{{instance}}"),),
            ),
            _Panel(
                "Time per block: validation and commit, 95 %",
                "s",
                ((_quantile(0.95, f"ledger_block_processing_time_bucket{{{_PEER}}}", "instance"), "{{instance}}"),),
            ),
            _Panel(
                "Chaincode's requests to the ledger",
                "reqps",
                (
                    (
                        _rate(f"chaincode_shim_requests_completed{{{_PEER}}}", "instance", "type"),
                        "{{instance}} {{type}}",
                    ),
                ),
            ),
        ),
    ),
    (
        "Ordering",
        (
            _Panel(
                "Orderers that the leader sees",
                "short",
                (
                    ('max by (channel) (consensus_etcdraft_active_nodes{job="orderer"})', "{{channel}} active"),
                    ('max by (channel) (consensus_etcdraft_cluster_size{job="orderer"})', "{{channel}} configured"),
                ),
            ),
            _Panel(
                "New leaders",
                "short",
                (
                    (
                        'increase(consensus_etcdraft_leader_changes{job="orderer"}[$__rate_interval])',
                        "{{instance}} {{channel}}",
                    ),
                ),
            ),
            _Panel(
                "Envelopes by status",
                "reqps",
                ((_rate('broadcast_processed_count{job="orderer"}', "instance", "status"), "{{instance}} {{status}}"),),
            ),
            _Panel(
                "Writing the log to disk, 99 %",
                "s",
                (
                    (
                        _quantile(0.99, 'etcd_disk_wal_fsync_duration_seconds_bucket{job="orderer"}', "instance"),
                        "{{instance}}",
                    ),
                ),
            ),
        ),
    ),
    (
        "Programs and machines",
        (
            _Panel("Memory", "bytes", (("process_resident_memory_bytes", "{{instance}}"),)),
            _Panel(
                "Processor", "percentunit", (("rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}"),)
            ),
            _Panel(
                "Disk left",
                "percentunit",
                (
                    (
                        f"node_filesystem_avail_bytes{{{_DISKS}}} / node_filesystem_size_bytes{{{_DISKS}}}",
                        "{{instance}} {{mountpoint}}",
                    ),
                ),
            ),
            _Panel(
                "Fabric CA: requests by status",
                "reqps",
                (
                    (
                        _rate(f'api_request_count{{job="ca", {_ORG}}}', "instance", "api_name", "status_code"),
                        "{{instance}} {{api_name}} {{status_code}}",
                    ),
                ),
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """The dashboard in the form that Grafana imports; it asks for a Prometheus data source and lists organisations."""
    return {
        "uid": "pedigree",
        "title": "Pedigree",
        "tags": ["pedigree", "fabric"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_source_variable(), _organisation_variable()]},
        "panels": list(_panels()),
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for title, panels in _ROWS:
        number += 1
        yield {"id": number, "type": "row", "title": title, "gridPos": _place(0, y, _WIDTH, 1), "panels": []}
        y += 1
        columns = min(len(panels), 4 if panels[0].kind == "stat" else 2)
        for index, panel in enumerate(panels):
            number += 1
            width = _WIDTH // columns
            place = _place(index % columns * width, y + index // columns * _HEIGHT, width, _HEIGHT)
            yield _panel(panel, number, place)
        y += -(-len(panels) // columns) * _HEIGHT


def _panel(panel: _Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(panel.queries)
        ],
    }


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _source_variable() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _organisation_variable() -> dict[str, Any]:
    return {
        "name": "organisation",
        "label": "Organisation",
        "type": "query",
        "datasource": _SOURCE,
        "query": "label_values(up, organisation)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
    }
