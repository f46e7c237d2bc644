# SPDX-License-Identifier: Apache-2.0
"""The verbs of `pedigree-network`, one module for each part."""
