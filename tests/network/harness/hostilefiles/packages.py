# SPDX-License-Identifier: Apache-2.0
"""Join packages whose owner signed for what a join package must not hold."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from network.embedded.identity import Signer
from network.material import Material
from network.operations.joinpackage import _canonical, export
from network.topology import Topology


def signed_anew(directory: Path, topology: Topology, change: Callable[[Any], Any]) -> Path:
    """The lab's package with an MSP that its administrator changed before signing."""
    document = json.loads(export(topology, directory, "lab", "pedigree_1.0"))
    change(document["content"]["msp"])
    signer = Signer.from_folder(Material(directory / "organizations").user("lab.example", "Admin") / "msp", "LabMSP")
    document["signature"] = base64.b64encode(signer.sign(_canonical(document["content"]))).decode()
    path = directory / "lab.join"
    path.write_text(json.dumps(document))
    return path
