# SPDX-License-Identifier: Apache-2.0
"""MSP folders as cryptogen and fabric-ca-client lay them out: taken into a wallet, and written from one.

config.yaml  cacerts/  intermediatecerts/  signcerts/cert.pem  keystore/priv_sk
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.fabric.durable import Disk
from gateway.identities.credential import Credential, load_certificate
from gateway.identities.errors import IdentityError
from gateway.identities.files import private_folder
from gateway.identities.keys import load_private_key, private_pem

_ROLES = ("client", "peer", "admin", "orderer")


def read_msp(msp_id: str, folder: Path) -> Credential:
    """The identity of an MSP folder; of several keys in `keystore` the one that fits the certificate.

    Raises `IdentityError` that names the file or folder.
    """
    names = _files(folder / "signcerts")
    if len(names) != 1:
        raise IdentityError(f"{folder / 'signcerts'}: holds {len(names)} files where exactly one is expected")
    certificate = load_certificate(names[0].read_bytes(), str(names[0]))
    keys = _files(folder / "keystore")
    if not keys:
        raise IdentityError(f"{folder / 'keystore'}: holds no private key")
    authorities = tuple(
        load_certificate(path.read_bytes(), str(path))
        for name in ("intermediatecerts", "cacerts")
        for path in _files(folder / name)
    )
    problem = IdentityError(f"{folder / 'keystore'}: holds no key of the certificate in {names[0]}")
    for path in keys:
        try:
            return Credential(msp_id, certificate, load_private_key(path.read_bytes(), str(path)), authorities)
        except IdentityError as exc:
            problem = exc if len(keys) == 1 else problem
    raise problem


def recover_msp(folder: Path) -> None:
    """Finish what a crash in `write_msp` left: put the old folder back where no new one has taken its place."""
    old = _old(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    elif old.exists():
        shutil.rmtree(old)


def write_msp(folder: Path, credential: Credential, *, disk: Disk | None = None) -> None:
    """Write an MSP folder with NodeOUs, in the place of a former one; a reader never meets a half-written one.

    For an instant between two renames there is none: a crash there is repaired by `recover_msp`, which this calls
    first. What else the former folder held (`tlscacerts`, `crls` …) is taken along. Raises `IdentityError` for a key
    that cannot leave its token and where the CAs are not known.
    """
    key = private_pem(credential.key)
    if not credential.authorities:
        raise IdentityError(f"the CAs above {credential.name} are not known, and an MSP folder needs them")
    disk = disk if disk is not None else Disk()
    private_folder(folder.parent)
    recover_msp(folder)
    new = folder.with_name(f".{folder.name}.new")
    if new.exists():
        shutil.rmtree(new)
    if folder.exists():
        _check_msp(folder)
        shutil.copytree(folder, new)
    _fill(disk, new, credential, key)
    if folder.exists():
        disk.rename(folder, _old(folder))
    disk.rename(new, folder)
    disk.sync_folder(folder.parent)
    recover_msp(folder)


def ensure_msp(folder: Path, credential: Credential) -> None:
    """Like `write_msp`, and leaves a folder alone that holds this identity already."""
    recover_msp(folder)
    try:
        held = read_msp(credential.msp_id, folder)
    except IdentityError:
        held = None
    if held is None or held.certificate != credential.certificate or len(_files(folder / "keystore")) != 1:
        write_msp(folder, credential)


def _fill(disk: Disk, folder: Path, credential: Credential, key: bytes) -> None:
    roots = [each for each in credential.authorities if each.issuer == each.subject] or [credential.authorities[-1]]
    intermediates = [each for each in credential.authorities if each not in roots]
    _put(disk, folder / "cacerts", {f"ca-{number}.pem": _pem(each) for number, each in enumerate(roots)})
    if intermediates:
        names = {f"ca-{number}.pem": _pem(each) for number, each in enumerate(intermediates)}
        _put(disk, folder / "intermediatecerts", names)
    _put(disk, folder / "signcerts", {"cert.pem": credential.pem})
    _put(disk, folder / "keystore", {"priv_sk": key}, mode=0o600)
    # With intermediates the unit may be granted by any of them, so no CA is named.
    issuer = "cacerts/ca-0.pem" if not intermediates and len(roots) == 1 else ""
    disk.write(folder / "config.yaml", _node_ous(_ROLES, issuer), 0o644)


def _put(disk: Disk, folder: Path, files: dict[str, bytes], *, mode: int = 0o644) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    private_folder(folder)
    for name, content in files.items():
        disk.write(folder / name, content, mode)


def _node_ous(roles: Sequence[str], issuer: str) -> bytes:
    lines = ["NodeOUs:", "  Enable: true"]
    for role in roles:
        lines.append(f"  {role.capitalize()}OUIdentifier:")
        if issuer:
            lines.append(f"    Certificate: {issuer}")
        lines.append(f"    OrganizationalUnitIdentifier: {role}")
    return ("\n".join(lines) + "\n").encode()


def _check_msp(folder: Path) -> None:
    """That what is to be replaced is an MSP folder: a wrong path must not cost anyone a folder."""
    known = {"signcerts", "keystore", "cacerts", "config.yaml", "IssuerPublicKey"}
    names = {path.name for path in folder.iterdir()}
    if names and not names & known:
        raise IdentityError(f"{folder}: is not an MSP folder and is not replaced")


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
