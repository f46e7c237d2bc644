# SPDX-License-Identifier: Apache-2.0
"""When certificates end, as a metric for the textfile collector of Prometheus's node exporter.

Fabric's programs write into their logs that a certificate is about to end, and publish no metric of it.
"""

from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from network.monitoring.targets import MonitoringError

METRIC = "pedigree_certificate_end_timestamp_seconds"
_WHERE = ("signcerts/*", "tls/*.crt", "ca/*-cert.pem", "tlsca/*-cert.pem")


def certificate_metrics(directory: Path) -> str:
    """When every certificate below `directory`/organizations and `directory`/gateways ends, in seconds since 1970.

    The text is in Prometheus's exposition format. Raises `MonitoringError` for a file that holds no certificate, and
    where there is none at all: an empty answer would read as "nothing ends".
    """
    lines = [
        f"# HELP {METRIC} When a certificate ends, in seconds since 1970.",
        f"# TYPE {METRIC} gauge",
    ]
    found = [
        f'{METRIC}{{organisation="{_owner(path, directory)}",file="{_name(path, directory)}"}} {end}'
        for path, end in _ends(directory)
    ]
    if not found:
        raise MonitoringError(f"{directory}: holds no certificates; --dir names the directory of a network")
    return "\n".join([*lines, *found]) + "\n"


def _ends(directory: Path) -> Iterator[tuple[Path, int]]:
    roots = (directory / "organizations", directory / "gateways")
    paths = {path for root in roots for pattern in _WHERE for path in root.glob(f"**/{pattern}") if path.is_file()}
    for path in sorted(paths):
        try:
            certificates = x509.load_pem_x509_certificates(path.read_bytes())
        except ValueError as error:
            raise MonitoringError(f"{path}: holds no PEM certificate") from error
        yield path, min(int(certificate.not_valid_after_utc.timestamp()) for certificate in certificates)


def _owner(path: Path, directory: Path) -> str:
    """The folder of the organisation: its domain below `organizations/<kind>`, its name below `gateways`."""
    parts = path.relative_to(directory).parts
    return _escaped(parts[2] if parts[0] == "organizations" else parts[1])


def _name(path: Path, directory: Path) -> str:
    return _escaped(str(path.relative_to(directory)))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
