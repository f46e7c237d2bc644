# SPDX-License-Identifier: Apache-2.0
"""What Prometheus and Grafana need to watch a network: whom to scrape, alerts, a dashboard, certificates' dates."""
