# SPDX-License-Identifier: Apache-2.0
"""The keys that a gateway signs its log with, and others' as a witness and a mirror: made once, kept as its secret is.

They have nothing to do with the organisation's Fabric key, and none is derived from another. Each file holds the 32
bytes that RFC 8032 or FIPS 204 make a private key of. It appears complete or not at all, and only its owner may read
it. The public keys are beside them, one a line, for others to make policies of: those of log and witness in
`public.vkeys`, and those of the mirror, which not every policy has, in `mirror.vkeys`.
"""

from collections.abc import Iterable
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
"""The file of the public keys of log and witness, in the folder of the private ones."""
PUBLIC_OF_MIRROR: Final = "mirror.vkeys"
"""That of the mirror's."""


@dataclass(frozen=True, slots=True)
class LogKeys:
    """What an organisation's gateway signs checkpoints with."""

    log: LogSigner
    """Ed25519, for its own log; its name is the log's origin."""
    cosigners: tuple[Cosigner, ...]
    """As a witness: Ed25519 and ML-DSA-44, by one name."""
    mirrors: tuple[Cosigner, ...]
    """As a mirror: the same, by another name. The specification wants other keys for what states more."""

    @property
    def origin(self) -> str:
        """Which log it is."""
        return self.log.verifier.name

    @classmethod
    def load(cls, folder: Path, channel: str, organisation: str) -> "LogKeys":
        """The keys in a folder; those that are not there are made. Raises `SettingsError`."""
        private_folder(folder)
        origin = origin_of(channel, organisation)
        log = LogSigner(origin, Ed25519PrivateKey.from_private_bytes(load_secret(folder / "log.key")))
        found = cls(log, _cosigners(folder, origin, "witness"), _cosigners(folder, origin, "mirror"))
        _publish(folder / PUBLIC, (found.log, *found.cosigners))
        _publish(folder / PUBLIC_OF_MIRROR, found.mirrors)
        return found


def _cosigners(folder: Path, origin: str, what: str) -> tuple[Cosigner, ...]:
    """The keys that the gateway with this log cosigns with as a witness, or as a mirror."""
    seeds = [load_secret(folder / f"{what}-{algorithm}.key") for algorithm in ("ed25519", "ml-dsa-44")]
    name = f"{origin}/{what}"
    return (
        Cosigner(name, Ed25519PrivateKey.from_private_bytes(seeds[0])),
        Cosigner(name, MLDSA44PrivateKey.from_seed_bytes(seeds[1])),
    )


def _publish(file: Path, signers: Iterable[LogSigner | Cosigner]) -> None:
    """Write the public keys, where the file does not have them already."""
    said = "".join(f"{each.verifier.vkey}\n" for each in signers).encode()
    if not file.exists() or file.read_bytes() != said:
        write_file(file, said, mode=0o644)
