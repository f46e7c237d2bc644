# SPDX-License-Identifier: Apache-2.0
"""Trainings that log with MLflow, recorded on the ledger: the plug-in of MLflow, and what it reads and records."""
