# SPDX-License-Identifier: Apache-2.0
"""The main job as a story: three organisations record a real model's pedigree, over HTTP, through the SDK."""
