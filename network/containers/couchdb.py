# SPDX-License-Identifier: Apache-2.0
"""The state database of a peer, where it is CouchDB: its name, its configuration and its secret.

The official image runs as any user on a root file system that it cannot write, given three things: its folder of local
configuration in memory, because the image's entry point puts an empty file there; the folder of its data; and a
configuration from which nothing is left to be filled in. CouchDB replaces a password that it reads in clear by its
hash, and a missing cookie secret by one of its own, in the last file that it has read: so both are there already.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

from network.containers.plan import Peer, Plan

USER = "peer"
PORT = 5984
DATA = "/opt/couchdb/data"
LOCAL = "/opt/couchdb/etc/local.d"
"""Where the image looks for configuration of the place; its entry point writes `docker.ini` there."""
CONFIG = f"{LOCAL}/10-pedigree.ini"
"""Sorts before `docker.ini`: CouchDB writes changes that are made while it runs into the file that sorts last."""
_ROUNDS = 1000
"""Of PBKDF2. More of them make guessing a password dearer; 24 random bytes cannot be guessed."""
_SECRET_BYTES = 24


def is_used(plan: Plan) -> bool:
    """Whether the peers of a plan keep their state in CouchDB."""
    return plan.topology.state_database == "couchdb"


def name_of(peer: Peer) -> str:
    """The container of a peer's state database."""
    return f"couchdb.{peer.name}"


def names(plan: Plan) -> list[str]:
    """The containers of all state databases; none where peers keep their state themselves."""
    return [name_of(peer) for peer in plan.peers] if is_used(plan) else []


def secret_of(plan: Plan, peer: Peer) -> Path:
    """The file with the password of one peer at its own database; no other peer knows it."""
    return plan.rendered / name_of(peer) / "peer.secret"


def config_of(plan: Plan, peer: Peer) -> Path:
    """The configuration of a peer's database, which does not hold the password."""
    return plan.rendered / name_of(peer) / "couchdb.ini"


def new_secret() -> str:
    """A password for a peer at its database."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def ini(secret: str) -> str:
    """The configuration of a database that only `secret` opens; the same for the same secret.

    CouchDB's format: `name = value`, no other comments than whole lines.
    """
    salt = _derived(secret, "salt")
    hashed = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt.encode(), _ROUNDS).hex()
    sections: dict[str, dict[str, str]] = {
        "admins": {USER: f"-pbkdf2:sha256-{hashed},{salt},{_ROUNDS}"},
        "couchdb": {"single_node": "true", "uuid": _derived(secret, "uuid")},
        "cluster": {"n": "1"},
        "chttpd": {
            "bind_address": "0.0.0.0",  # noqa: S104 -- inside a container, and published nowhere
            "port": str(PORT),
            "require_valid_user_except_for_up": "true",
        },
        "chttpd_auth": {"secret": _derived(secret, "cookies")},
        # Below this it says of each request who asked for what.
        "log": {"writer": "stderr", "level": "warning"},
    }
    parts = ["\n".join([f"[{title}]", *(f"{key} = {value}" for key, value in section.items())])
             for title, section in sections.items()]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _derived(secret: str, what: str) -> str:
    """Another random value, of 128 bits in hexadecimal, which tells nothing of the secret."""
    return hmac.digest(secret.encode(), what.encode(), "sha256").hex()[:32]
