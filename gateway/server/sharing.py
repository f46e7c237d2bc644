# SPDX-License-Identifier: Apache-2.0
"""What a gateway needs to share a PostgreSQL database with others of its organisation, looked at before it does.

They sign as one log, derive the transaction ids of one client's keys and open each other's blobs, so they have the same
secrets: files of the first one's data folder, which are copied to the others'. Their digests are in the database.
"""

import fcntl
import socket
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Final

from gateway.server import blobkeys
from gateway.server.folders import (
    NO_DRIVER,
    database_of,
    keep_database,
    open_shared,
    private_folder,
)
from gateway.server.logkeys import LogKeys
from gateway.server.settings import Settings, SettingsError, load_secret
from gateway.server.stopping import stop_fenced
from gateway.services.failures import PortError
from gateway.services.replicas import Replica
from gateway.stores.replicas import ReplicaStore, SharedNonces

_LOG_KEYS: Final = "log-keys"
_SECRETS: Final = (
    "secret",
    *(
        f"{_LOG_KEYS}/{name}.key"
        for name in ("log", "witness-ed25519", "witness-ml-dsa-44", "mirror-ed25519", "mirror-ml-dsa-44")
    ),
)
_COPY: Final = "copy it from the data folder of one of them"


def sole_owner(path: Path) -> IO[bytes]:
    """Hold the data folder's lock as long as this process lives, so that two gateways never share one."""
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise SettingsError(f"another gateway uses {path.parent}") from None
    return file


def at_rest(data: Path, guard: ExitStack) -> None:
    """Hold a data folder that no gateway uses, and whose database none does; raises `SettingsError` where one does."""
    guard.enter_context(sole_owner(data / "lock"))
    if (url := database_of(data)) is not None:
        with closing(open_shared(url, "replicas")) as database:
            if others := ReplicaStore(database).others():
                raise SettingsError(f"the gateways {', '.join(others)} use the database of {data}")


def check(settings: Settings) -> None:
    """Look at what is given for `--database`, and at what has to be the same; raises `SettingsError`."""
    url = settings.options.database or database_of(settings.data)
    if url is None:
        return
    try:
        from gateway.stores.postgresql import problem_of
    except ImportError:
        raise SettingsError(f"--database: {NO_DRIVER}") from None
    if (problem := problem_of(url)) is not None:
        raise SettingsError(f"--database: {problem}")
    place = settings.options.blobs
    if not place.startswith("s3:") and not Path(place).is_absolute():
        raise SettingsError(
            "--blobs: with --database it must be s3://BUCKET/PREFIX, or an absolute folder that all gateways of the "
            "database have"
        )
    keep_database(settings.data, url)
    try:
        with closing(open_shared(url, "replicas")) as database:
            _agree(settings, ReplicaStore(database))
    except PortError as exc:
        raise SettingsError(f"--database: {exc.message}") from None


def join(settings: Settings, guard: ExitStack) -> tuple[Replica, SharedNonces] | tuple[None, None]:
    """Enter a gateway among those that share its database; nothing where its stores are its own."""
    url = database_of(settings.data)
    if url is None:
        return None, None
    database = open_shared(url, "replicas")
    guard.callback(database.close)
    store = ReplicaStore(database)
    _agree(settings, store)
    number = store.enter(f"{socket.gethostname()}:{settings.data}")
    replica = Replica(store, number, ended=stop_fenced)
    guard.callback(replica.stop)  # when the other stores are closed: what is queued there is still this one's
    replica.enter()
    return replica, SharedNonces(database)


def _agree(settings: Settings, store: ReplicaStore) -> None:
    """See that this gateway has what the others have; what nobody has yet is made. Raises `SettingsError`."""
    data, member, channel = private_folder(settings.data), settings.organisation, settings.network.channel
    if not store.agree("organisation", f"{member.msp_id} on {channel}".encode()):
        raise SettingsError(f"--database: it is of another organisation or channel than {member.msp_id} on {channel}")
    if not store.agree("blobs", settings.options.blobs.encode()):
        raise SettingsError("--blobs: the other gateways of the database were given another place")
    own_key = () if blobkeys.given() else (blobkeys.FILE,)
    for name in (*_SECRETS, *own_key):
        if not (data / name).exists() and store.is_agreed(name):
            raise SettingsError(f"{data / name} is missing, and other gateways of the database have one: {_COPY}")
    load_secret(data / "secret")
    LogKeys.load(data / _LOG_KEYS, channel, member.msp_id)
    for name in own_key:
        blobkeys.load(data / name, lambda: 0)
        store.agree(name, b"")  # renewed now and then: only that there is one
    for name in _SECRETS:
        if not store.agree(name, (data / name).read_bytes()):
            raise SettingsError(f"{data / name} is another one than the other gateways of the database have: {_COPY}")
