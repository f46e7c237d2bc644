# SPDX-License-Identifier: Apache-2.0
"""Backups of every hostile kind."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from network.operations import backup
from network.operations.sealing import seal

Attack = Callable[["Made"], None]

PASSPHRASE = "correct horse battery"
ABOUT = {"mode": 0o600, "uid": os.getuid(), "gid": os.getgid()}


class Made:
    """A backup that is good until a test changes it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "made.backup"
        self.plain = {"network.json": b"{}", "gateways/lab/keys.db": b"x"}
        self.secrets: dict[str, bytes] = {}
        self.entries: list[tuple[tarfile.TarInfo, bytes]] = []
        """What stands in the archive beside what the manifest says."""
        self.manifest: dict[str, Any] = {
            "format": backup.FORMAT, "made": "2026-11-28T00:00:00+00:00", "run_as": "process", "channel": "pedigree",
            "genesis_hash": "00" * 32, "left_out": [], "folders": {"gateways": ABOUT | {"mode": 0o700}},
            "files": {name: self.about(content) for name, content in self.plain.items()},
        }  # fmt: skip

    @staticmethod
    def about(content: bytes) -> dict[str, Any]:
        return ABOUT | {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}

    def add(self, name: str, content: bytes = b"x") -> None:
        self.plain[name] = content
        self.manifest["files"][name] = self.about(content)

    def write(self) -> Path:
        with tarfile.open(self.file, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in self.plain.items():
                archive.addfile(entry("files/" + name, content), io.BytesIO(content))
            for extra, content in self.entries:
                archive.addfile(extra, io.BytesIO(content))
            if self.secrets:
                sealed = seal(self.secrets, PASSPHRASE)
                archive.addfile(entry(backup.SECRETS, sealed), io.BytesIO(sealed))
            content = json.dumps(self.manifest).encode()
            archive.addfile(entry(backup.MANIFEST, content), io.BytesIO(content))
        return self.file


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = len(content), kind, link
    return made


def names_a_folder_outside(made: Made) -> None:
    made.manifest["folders"]["../victim"] = ABOUT | {"mode": 0o777}


def names_a_file_without_checksum(made: Made) -> None:
    made.manifest["files"]["../victim"] = ABOUT | {"mode": 0o666}


def names_a_secret_outside(made: Made) -> None:
    """The name has no checksum, so nothing in the archive need fit it."""
    made.manifest["files"]["../victim"] = ABOUT | {"mode": 0o666, "sealed": True}


def names_a_file_outside(made: Made) -> None:
    made.add("../victim")


def names_the_victim_itself(made: Made) -> None:
    made.manifest["folders"][str(made.file.parent / "victim")] = ABOUT | {"mode": 0o777}


def names_without_content(made: Made) -> None:
    made.manifest["files"]["absent"] = made.about(b"x")


def links_then_writes_through(made: Made) -> None:
    made.entries.append((entry("files/out", kind=tarfile.SYMTYPE, link=".."), b""))
    made.add("out/victim")


def links_hard(made: Made) -> None:
    made.entries.append((entry("files/out", kind=tarfile.LNKTYPE, link="../victim"), b""))


def makes_a_device(made: Made) -> None:
    made.entries.append((entry("files/null", kind=tarfile.CHRTYPE), b""))


def makes_a_pipe(made: Made) -> None:
    made.entries.append((entry("files/pipe", kind=tarfile.FIFOTYPE), b""))


def makes_a_folder_entry(made: Made) -> None:
    made.entries.append((entry("files/a", kind=tarfile.DIRTYPE), b""))


def is_sparse(made: Made) -> None:
    """A terabyte of nothing in a few bytes of archive."""
    sparse = entry("files/large", b"x")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40),
                          "GNU.sparse.name": "files/large"}  # fmt: skip
    made.entries.append((sparse, b"x"))
    made.manifest["files"]["large"] = made.about(b"x") | {"size": 1 << 40}


def says_another_size(made: Made) -> None:
    made.manifest["files"]["network.json"]["size"] = 1 << 40


def is_there_twice(made: Made) -> None:
    made.entries.append((entry("files/network.json", b"[]"), b"[]"))


def differs_in_case(made: Made) -> None:
    made.add("NETWORK.json")


def differs_in_normal_form(made: Made) -> None:
    made.add("caf\u00e9")
    made.add("cafe\u0301")


def is_file_and_folder(made: Made) -> None:
    made.add("gateways/lab")


def is_file_under_a_secret(made: Made) -> None:
    made.secrets["a"] = b"x"
    made.manifest["files"]["a"] = ABOUT | {"sealed": True}
    made.add("a/b")


def secret_is_a_folder_too(made: Made) -> None:
    made.manifest["folders"]["network.json"] = ABOUT


def brings_a_pid_file(made: Made) -> None:
    """`down` signals what pid files name."""
    made.add("run/peer0.pid", b"1 now")


def brings_a_compose_file(made: Made) -> None:
    made.add("compose.yaml", b"services: {}")


def has_control_characters(made: Made) -> None:
    made.add("a\x1b[2Jb")


def has_a_very_long_name(made: Made) -> None:
    made.add("a" * 300)


def has_a_mode_of_text(made: Made) -> None:
    made.manifest["files"]["network.json"]["mode"] = "rwx"


def has_an_owner_below_nothing(made: Made) -> None:
    made.manifest["folders"]["gateways"]["uid"] = -1


def runs_as_something_else(made: Made) -> None:
    made.manifest["run_as"] = "root"


def lists_files_as_list(made: Made) -> None:
    made.manifest["files"] = list(made.manifest["files"])


def lacks_a_field(made: Made) -> None:
    del made.manifest["left_out"]


def has_two_manifests(made: Made) -> None:
    content = json.dumps(made.manifest).encode()
    made.entries.append((entry(backup.MANIFEST, content), content))


ATTACKS: list[Attack] = [
    names_a_file_without_checksum,
    names_a_folder_outside, names_a_secret_outside, names_a_file_outside, names_the_victim_itself,
    names_without_content,
    links_then_writes_through, links_hard, makes_a_device, makes_a_pipe, makes_a_folder_entry, is_sparse,
    says_another_size, is_there_twice, differs_in_case, differs_in_normal_form, is_file_and_folder,
    is_file_under_a_secret, secret_is_a_folder_too, brings_a_pid_file, brings_a_compose_file, has_control_characters,
    has_a_very_long_name, has_a_mode_of_text, has_an_owner_below_nothing, runs_as_something_else, lists_files_as_list,
    lacks_a_field, has_two_manifests,
]  # fmt: skip
