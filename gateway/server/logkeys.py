# SPDX-License-Identifier: Apache-2.0
"""The keys that a gateway signs its log with, and others' as a witness: made once, kept as the gateway's secret is.

They have nothing to do with the organisation's Fabric key, and none is derived from another. Each file holds the 32
bytes that RFC 8032 or FIPS 204 make a private key of. It appears complete or not at all, and only its owner may read
it. The public keys are beside them in `public.vkeys`, one a line, for others to make policies of.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from gateway.fabric.durable import write_file
from gateway.server.folders import private_folder
from gateway.server.settings import load_secret
from gateway.tlog.entries import origin_of
from gateway.tlog.keys import Cosigner, LogSigner

PUBLIC: Final = "public.vkeys"
"""The file of the public keys, in the folder of the private ones."""
_WITNESS: Final = "witness"


@dataclass(frozen=True, slots=True)
class LogKeys:
    """What an organisation's gateway signs checkpoints with."""

    log: LogSigner
    """Ed25519, for its own log; its name is the log's origin."""
    cosigners: tuple[Cosigner, ...]
    """As a witness: Ed25519 and ML-DSA-44, by one name."""

    @property
    def origin(self) -> str:
        """Which log it is."""
        return self.log.verifier.name

    @classmethod
    def load(cls, folder: Path, channel: str, organisation: str) -> "LogKeys":
        """The keys in a folder; those that are not there are made. Raises `SettingsError`."""
        private_folder(folder)
        origin = origin_of(channel, organisation)
        seeds = [load_secret(folder / f"{name}.key") for name in ("log", "witness-ed25519", "witness-ml-dsa-44")]
        name = witness_of(origin)
        found = cls(
            LogSigner(origin, Ed25519PrivateKey.from_private_bytes(seeds[0])),
            (
                Cosigner(name, Ed25519PrivateKey.from_private_bytes(seeds[1])),
                Cosigner(name, MLDSA44PrivateKey.from_seed_bytes(seeds[2])),
            ),
        )
        public = folder / PUBLIC
        said = "".join(f"{each.verifier.vkey}\n" for each in (found.log, *found.cosigners)).encode()
        if not public.exists() or public.read_bytes() != said:
            write_file(public, said, mode=0o644)
        return found


def witness_of(origin: str) -> str:
    """The name of the witness that the gateway with this log is."""
    return f"{origin}/{_WITNESS}"
