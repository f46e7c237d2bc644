# SPDX-License-Identifier: Apache-2.0
"""The consortium in containers: real Fabric by Docker Compose, rendered from the topology alone.

Below the directory lie the key material (`organizations/`), what each container reads (`containers/`), what it keeps
(`ledgers/`, `gateways/`), `compose.yaml` and `network.json`. This machine needs Docker and Python, and nothing of
Fabric's.
"""
