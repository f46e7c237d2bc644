# SPDX-License-Identifier: Apache-2.0
"""Fabric's own tool for configuration updates, where it is there."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fabric_protos.common import configtx_pb2

from network.embedded.channelconfig import ChannelConfig

Compute = Callable[[configtx_pb2.Config, configtx_pb2.Config], configtx_pb2.ConfigUpdate]


@pytest.fixture
def configtxlator(tmp_path: Path) -> Compute:
    """`configtxlator compute_update` as a function."""
    program = Path(os.environ.get("FABRIC_BIN") or "/opt/fabric/bin") / "configtxlator"
    if not os.access(program, os.X_OK):
        pytest.skip(f"NOT RUN: {program} is missing, so updates are compared with stored ones only")

    def compute(original: configtx_pb2.Config, updated: configtx_pb2.Config) -> configtx_pb2.ConfigUpdate:
        files = {name: tmp_path / name for name in ("original", "updated", "output")}
        files["original"].write_bytes(original.SerializeToString())
        files["updated"].write_bytes(updated.SerializeToString())
        named = [argument for name, path in files.items() for argument in (f"--{name}", str(path))]
        subprocess.run([str(program), "compute_update", "--channel_id", "pedigree", *named], check=True)
        return configtx_pb2.ConfigUpdate.FromString(files["output"].read_bytes())

    return compute


@pytest.fixture
def config(channel_config: ChannelConfig) -> configtx_pb2.Config:
    """The first configuration of the default network."""
    copied = configtx_pb2.Config()
    copied.CopyFrom(channel_config.envelope.config)
    return copied
