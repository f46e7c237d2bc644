# SPDX-License-Identifier: Apache-2.0
"""What `pedigree serve` may be given: one field each, with its default, its bounds and its help.

The command line makes its options of these fields and hands over what was given as one value. Nothing heavy is
imported here, so that `--help` answers at once.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from gateway.services.rates import Rate

PER_ADDRESS: Final = 512
_PORTS: Final = (0, 65_535)


def _said(meaning: str, least: int = 0, most: int = 0, **more: str) -> dict[str, Any]:
    """What is said of a field: its help, and between which numbers it is where `most` is not 0."""
    return {"help": meaning, "least": least, "most": most, **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may be given; each field is an option. Raises `ValueError` for a number that is out of bounds."""

    data: Path | None = field(default=None, metadata=_said("Folder of this gateway's own data."))
    database: str | None = field(
        default=None,
        metadata=_said(
            "PostgreSQL database in which gateways of one organisation share their stores, postgresql://USER@HOST/NAME.",
            metavar="URL",
        ),
    )
    host: str = field(default="127.0.0.1", metadata=_said("Address to listen on."))
    port: int | None = field(default=None, metadata=_said("Port of the API; 0 picks a free one.", *_PORTS))
    tls_certificate: Path | None = field(
        default=None,
        metadata=_said("The API's certificate and those that lead to its root, in PEM; read again when it changes."),
    )
    tls_key: Path | None = field(default=None, metadata=_said("Key of the API's certificate, in PEM, unencrypted."))
    client_ca: Path | None = field(
        default=None,
        metadata=_said("Authorities (PEM) whose certificates clients may come with."),
    )
    client_crl: Path | None = field(
        default=None,
        metadata=_said("What these authorities revoked: lists in PEM, one of each; one that is overdue admits nobody."),
    )
    oidc_issuer: str = field(
        default="", metadata=_said("Issuer whose access tokens (JWT) are taken, as its metadata names it: https://…")
    )
    oidc_audience: str = field(default="", metadata=_said("What such a token must say that it is for."))
    oidc_claims: Path | None = field(
        default=None, metadata=_said("JSON file: which claims name the client, and which give a role.")
    )
    behind_proxy: bool = field(
        default=False, metadata=_said("A proxy with TLS is in front: plain HTTP needs no warning.")
    )
    trusted_proxies: tuple[str, ...] = field(
        default=(),
        metadata=_said(
            "Whose X-Forwarded-For says where a request comes from; may be repeated. Nobody's by default.",
            option="trusted-proxy",
            metavar="ADDRESS[/BITS]",
        ),
    )
    wallet: Path | None = field(
        default=None,
        metadata=_said("Wallet with the identity to sign with, instead of the MSP folder that the network file names."),
    )
    identity: str = field(default="gateway", metadata=_said("Label of that identity in the wallet."))
    wallet_passphrase_file: Path | None = field(
        default=None,
        metadata=_said(
            "Passphrase of an encrypted wallet or PIN of a token; also the systemd credential pedigree-wallet, "
            "PEDIGREE_WALLET_PASSPHRASE or PEDIGREE_WALLET_PASSPHRASE_FILE."
        ),
    )
    hsm_module: Path | None = field(
        default=None,
        metadata=_said("PKCS#11 library of the token, where it is not where it was when the wallet was made."),
    )
    health_port: int | None = field(default=None, metadata=_said("Port of health and metrics.", *_PORTS))
    in_flight: int = field(default=256, metadata=_said("Submissions under way at once.", 1, 4096))
    peers: tuple[str, ...] = field(
        default=(),
        metadata=_said(
            "A peer of the organisation, instead of the network file's; more stand in for the first, in this order.",
            option="peer",
            metavar="[NAME=]HOST:PORT",
        ),
    )
    peer_slots: int = field(default=400, metadata=_said("Calls at one peer at once; its own limit is 500.", 8, 100_000))
    connections_per_address: int = field(
        default=PER_ADDRESS, metadata=_said("Open connections that one address may have.", 1, 65_535)
    )
    rate: Rate | None = field(
        default=None,
        metadata=_said(
            "Requests that each client may make in how many seconds, such as 600/60; no limit by default.",
            form="rate",
        ),
    )
    address_rate: Rate | None = field(
        default=None,
        metadata=_said("The same for each address, for all who call from there.", form="rate"),
    )
    log_policy: Path | None = field(
        default=None,
        metadata=_said("Policy of logs and witnesses; by default `log-policy` among its data. It may come later."),
    )
    blobs: str = field(
        default="blobs",
        metadata=_said(
            "Where sealed bytes are kept: a folder, among its data unless it is absolute, or s3://BUCKET/PREFIX."
        ),
    )
    audit_interval: int = field(
        default=600,
        metadata=_said("Seconds between two anchors of the audit log on the ledger, at least.", 1, 86_400),
    )
    anchor_reads: int = field(
        default=5, metadata=_said("Seconds between two lists of the reads that had no transaction each.", 1, 3_600)
    )
    remind_before: int = field(
        default=7 * 86_400,
        metadata=_said("Seconds before an approval ends at which that is a reminder.", 1, 366 * 86_400),
    )
    rebuild: bool = field(default=False, metadata=_said("Build the read model again from block 0."))

    def __post_init__(self) -> None:
        for each in fields(self):
            value, least, most = getattr(self, each.name), each.metadata["least"], each.metadata["most"]
            if most and value is not None and not least <= value <= most:
                raise ValueError(f"{each.name.replace('_', '-')} must be from {least} to {most}")
