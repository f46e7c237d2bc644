# SPDX-License-Identifier: Apache-2.0
"""One organisation's part of a network on Kubernetes: a Helm chart, and the values and secrets that it is given.

`chart/` is the only place that knows how a pod looks. What differs between organisations is written from the topology
and the key material by `export`; private keys go into Secrets of their own and never into the chart's values.
"""
