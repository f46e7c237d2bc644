# SPDX-License-Identifier: Apache-2.0
"""What is looked at before a gateway shares a database with others of its organisation."""

import shutil
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.server import blobkeys, sharing
from gateway.server.folders import database_of, has_store, keep_database, open_keys, open_shared
from gateway.server.options import Options
from gateway.server.settings import SettingsError
from gateway.stores.replicas import ReplicaStore


@dataclass(frozen=True)
class Named:
    msp_id: str = "LabMSP"
    channel: str = "pedigree"


@dataclass(frozen=True)
class Given:
    """As much of `Settings` as is looked at."""

    data: Path
    options: Options
    organisation: Named = field(default_factory=Named)
    network: Named = field(default_factory=Named)


@pytest.fixture(autouse=True)
def _no_key_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (blobkeys.VARIABLE, f"{blobkeys.VARIABLE}_FILE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def given(tmp_path: Path, postgresql_url: str) -> Any:
    """Makes the settings of a gateway by the name of its data folder."""

    def make(name: str, **options: Any) -> Any:
        chosen = {"database": postgresql_url, "blobs": str(tmp_path / "blobs"), **options}
        return Given(tmp_path / name, Options(**chosen))

    return make


def copied(source: Any, target: Any) -> None:
    target.data.mkdir(mode=0o700, exist_ok=True)
    for name in ("secret", blobkeys.FILE):
        shutil.copy2(source.data / name, target.data / name)
    shutil.copytree(source.data / "log-keys", target.data / "log-keys", dirs_exist_ok=True)


def test_the_first_makes_what_the_others_have_to_have(given: Any) -> None:
    one, two = given("one"), given("two")
    sharing.check(one)
    assert (one.data / "secret").stat().st_mode & 0o077 == 0
    with pytest.raises(SettingsError, match=r"two/secret is missing, and other gateways .* copy it"):
        sharing.check(two)
    assert not (two.data / "secret").exists(), "none is made that would be another one"
    copied(one, two)
    sharing.check(two)
    (two.data / "log-keys" / "log.key").write_bytes(b"x" * 32)
    with pytest.raises(SettingsError, match=r"log\.key is another one"):
        sharing.check(two)


def test_what_would_part_them_is_refused(given: Any) -> None:
    one = given("one")
    sharing.check(one)
    sharing.check(one)
    with pytest.raises(SettingsError, match="--blobs: the other gateways"):
        sharing.check(replace(one, options=replace(one.options, blobs="s3://other/place")))
    with pytest.raises(SettingsError, match="--blobs: with --database"):
        sharing.check(replace(one, options=replace(one.options, blobs="blobs")))
    with pytest.raises(SettingsError, match="it is of another organisation or channel than OtherMSP"):
        sharing.check(replace(one, organisation=Named(msp_id="OtherMSP")))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://user:secret@127.0.0.1/db", "no password belongs into it"),
        ("host=127.0.0.1 dbname=db", "a URL such as postgresql://"),
        ("postgresql://user@127.0.0.1:1/db", "onnection"),
        ("nonsense", "missing"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_what_is_wrong(given: Any, url: str, problem: str) -> None:
    one = given("one", database=url)
    with pytest.raises(SettingsError, match=problem) as refused:
        sharing.check(one)
    assert "secret" not in str(refused.value)
    assert database_of(one.data) is None


def test_without_the_driver_it_says_what_to_install(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gateway.stores.postgresql", None)
    with pytest.raises(SettingsError, match="extra postgresql"):
        sharing.check(given("one"))
    with pytest.raises(SettingsError, match="extra postgresql"):
        open_shared("postgresql://nobody", "keys")


def test_a_folder_with_stores_in_files_is_refused(given: Any) -> None:
    one = given("one", database=None)
    sharing.check(one)  # nothing is shared
    with ExitStack() as guard:
        open_keys(one.data, guard).add("k", "reader")
    with pytest.raises(SettingsError, match=r"has stores in files \(keys.db\), which nothing moves"):
        sharing.check(given("one"))


def test_a_data_folder_remembers_its_database(given: Any, postgresql_url: str) -> None:
    one = given("one")
    sharing.check(one)
    assert (database_of(one.data), has_store(one.data, "keys"), has_store(one.data, "readmodel")) == (
        postgresql_url, True, False,
    )  # fmt: skip
    again = given("one", database=None)
    sharing.check(again)
    with ExitStack() as guard:
        key = open_keys(one.data, guard).add("k", "reader")
        two = given("two")
        keep_database(two.data, postgresql_url)
        found = open_keys(two.data, guard).recognise(key)
    assert found is not None
    assert found.name == "k"
    assert not (one.data / "keys.db").exists()


def test_nothing_is_at_rest_while_a_gateway_runs_anywhere(given: Any, postgresql_url: str) -> None:
    one, two = given("one"), given("two")
    sharing.check(one)
    copied(one, two)
    sharing.check(two)
    with ExitStack() as guard:
        replica, _ = sharing.join(one, guard)
        assert replica is not None
        assert replica.leads()
        with pytest.raises(SettingsError, match=r"one use the database"), ExitStack() as other:
            sharing.at_rest(two.data, other)
    with ExitStack() as guard:
        sharing.at_rest(two.data, guard)
    with closing(open_shared(postgresql_url, "replicas")) as database:
        assert ReplicaStore(database).others() == []
