# SPDX-License-Identifier: Apache-2.0
"""Dockerfiles of our images, what their Python packages are pinned to, and the builder for chaincode as a service."""
