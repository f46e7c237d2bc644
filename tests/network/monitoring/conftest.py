# SPDX-License-Identifier: Apache-2.0
"""A network's directory that the tests of monitoring read; none of them changes it."""

from pathlib import Path

import pytest

from network.material import Material


@pytest.fixture(scope="session")
def shared_directory(shared_material: Material) -> Path:
    return shared_material.root.parent
