# SPDX-License-Identifier: Apache-2.0
"""What Prometheus and Grafana need to watch a network: whom to scrape, alerts, a dashboard, certificates' dates."""

from network.monitoring.certificates import certificate_metrics
from network.monitoring.export import export
from network.monitoring.targets import MonitoringError, Target, find_targets

__all__ = ["MonitoringError", "Target", "certificate_metrics", "export", "find_targets"]
