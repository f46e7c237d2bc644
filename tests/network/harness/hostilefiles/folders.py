# SPDX-License-Identifier: Apache-2.0
"""MSP folders that name, link to or hold a private key.

Each trick changes the MSP folder of lab.example, in material laid out as cryptogen does, and aims at a key outside it.
"""

import os
from collections.abc import Callable
from pathlib import Path

Trick = Callable[[Path, Path], None]


def names_key_by_dots(msp: Path, key: Path) -> None:
    rewrite(msp, os.path.relpath(key, msp))


def names_key_from_the_root(msp: Path, key: Path) -> None:
    rewrite(msp, str(key))


def names_key_by_a_link(msp: Path, key: Path) -> None:
    (msp / "cacerts" / "other.pem").symlink_to(key)


def names_key_by_a_linked_folder(msp: Path, key: Path) -> None:
    (msp / "inner").symlink_to(key.parent)
    rewrite(msp, "inner/priv_sk")


def links_config(msp: Path, key: Path) -> None:
    (msp / "config.yaml").unlink()
    (msp / "config.yaml").symlink_to(key)


def links_a_whole_folder(msp: Path, key: Path) -> None:
    (msp / "intermediatecerts").symlink_to(key.parent)


def holds_key_as_certificate(msp: Path, key: Path) -> None:
    (msp / "tlscacerts" / "x.pem").write_bytes(key.read_bytes())


def holds_key_after_certificate(msp: Path, key: Path) -> None:
    (file,) = (msp / "cacerts").iterdir()
    file.write_bytes(file.read_bytes() + key.read_bytes())


def holds_key_in_config(msp: Path, key: Path) -> None:
    lines = key.read_text().splitlines()
    (msp / "config.yaml").write_text((msp / "config.yaml").read_text() + "".join(f"# {line}\n" for line in lines))


def holds_key_as_list(msp: Path, key: Path) -> None:
    (msp / "crls").mkdir()
    (msp / "crls" / "x.pem").write_bytes(key.read_bytes())


def rewrite(msp: Path, certificate: str) -> None:
    text = (msp / "config.yaml").read_text()
    (msp / "config.yaml").write_text(text.replace("cacerts/ca.lab.example-cert.pem", certificate, 1))


TRICKS: list[Trick] = [
    names_key_by_dots, names_key_from_the_root, names_key_by_a_link, names_key_by_a_linked_folder, links_config,
    links_a_whole_folder, holds_key_as_certificate, holds_key_after_certificate, holds_key_in_config, holds_key_as_list,
]  # fmt: skip
