# SPDX-License-Identifier: Apache-2.0
"""`pedigree identity`: each verb, that repeating changes nothing, and that no secret is shown or needed on the line."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from gateway.cli import main
from gateway.identities.wallet import Wallet

PASSPHRASE = "correct horse battery"


class Shell:
    """Calls the command as a shell would, with the environment that names wallet and CA."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.environment = {
            "PEDIGREE_WALLET": str(folder / "wallet"),
            "PEDIGREE_CA_URL": url,
            "PEDIGREE_CA_NAME": "ca.hospital.example",
            "PEDIGREE_MSP_ID": "HospitalMSP",
        }

    def __call__(self, *arguments: str, **environment: str) -> Result:
        result = CliRunner().invoke(main, ["identity", *arguments], env={**self.environment, **environment})
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    def json(self, *arguments: str, **environment: str) -> Any:
        result = self(*arguments, "--json", **environment)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def refused(self, *arguments: str, **environment: str) -> str:
        result = self(*arguments, **environment)
        assert result.exit_code != 0
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1, result.stderr
        assert result.stderr.startswith("pedigree: ")
        return result.stderr


@pytest.fixture
def shell(tmp_path: Path, fake: Any) -> Shell:
    fake.begin = datetime.now(UTC) - timedelta(minutes=5)
    return Shell(tmp_path, fake.url)


@pytest.fixture
def enrolled(shell: Shell) -> Shell:
    shell.json("enrol", "admin", PEDIGREE_ENROL_SECRET="adminpw-1234")
    return shell


def test_a_gateways_identity_is_registered_and_enrolled_by_commands_that_may_be_repeated(
    enrolled: Shell, fake: Any, tmp_path: Path
) -> None:
    secret, msp = tmp_path / "secrets" / "gateway", tmp_path / "msp"
    register = ("register", "gateway", "--as", "admin", "--secret-file", str(secret), "--if-absent")
    enrol = ("enrol", "gateway", "--secret-file", str(secret), "--if-needed", "--msp", str(msp))
    assert enrolled.json(*register) == {"name": "gateway", "registered": True, "secret_file": str(secret)}
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert enrolled.json(*register)["registered"] is False
    first = enrolled.json(*enrol)
    assert (first["enrolled"], first["name"], first["state"]) == (True, "gateway", "valid")
    (certificate,) = (msp / "signcerts").iterdir()
    asked = len(fake.requests)
    again = enrolled.json(*enrol)
    assert again["enrolled"] is False
    assert again["serial"] == first["serial"]
    assert len(fake.requests) == asked
    assert x509.load_pem_x509_certificate(certificate.read_bytes()) == fake.issued[-1]
    # A folder that was lost comes back from the wallet.
    certificate.unlink()
    assert enrolled.json(*enrol)["enrolled"] is False
    assert x509.load_pem_x509_certificate(certificate.read_bytes()) == fake.issued[-1]


def test_a_registration_that_was_killed_before_its_secret_was_written_is_taken_up(
    enrolled: Shell, fake: Any, tmp_path: Path
) -> None:
    fake.secrets["gateway"] = "nobody-knows"
    secret = tmp_path / "secret"
    register = ("register", "gateway", "--as", "admin", "--secret-file", str(secret))
    assert "already registered" in enrolled.refused(*register)
    assert not secret.exists()
    assert enrolled.json(*register, "--if-absent")["registered"] is False
    assert fake.secrets["gateway"] == secret.read_text().strip() != "nobody-knows"


def test_an_expired_or_damaged_identity_is_enrolled_again(enrolled: Shell, fake: Any, tmp_path: Path) -> None:
    environment = {"PEDIGREE_ENROL_SECRET": "adminpw-1234"}
    file = tmp_path / "wallet" / "admin.pem"
    file.write_bytes(file.read_bytes()[:300])
    assert enrolled("enrol", "admin", "--if-needed", **environment).stderr.startswith("enrolling again: ")
    fake.begin, fake.lifetime = datetime.now(UTC) - timedelta(days=2), timedelta(days=1)
    enrolled("enrol", "admin", **environment)
    assert "expired" in enrolled.json("show", "admin")["state"]
    fake.lifetime = timedelta(days=30)
    result = enrolled("enrol", "admin", "--if-needed", **environment)
    assert "expired" in result.stderr
    assert enrolled.json("show", "admin")["state"] == "valid"


def test_another_name_under_the_label_is_not_overwritten_by_if_needed(enrolled: Shell) -> None:
    assert "another --label" in enrolled.refused("enrol", "gateway", "--label", "admin", "--if-needed")


def test_reenrolling_waits_until_it_is_due(enrolled: Shell, fake: Any, tmp_path: Path) -> None:
    first = enrolled.json("show", "admin")
    assert enrolled.json("reenrol", "admin", "--if-due")["enrolled"] is False
    done = enrolled.json("reenrol", "admin", "--msp", str(tmp_path / "msp"))
    assert done["enrolled"] is True
    assert done["serial"] != first["serial"]
    assert enrolled.json("show", "admin")["serial"] == done["serial"]


def test_an_encrypted_wallet_is_opened_by_file_credential_or_environment(shell: Shell, tmp_path: Path) -> None:
    words = tmp_path / "credentials" / "pedigree-wallet"
    words.parent.mkdir()
    words.write_text(PASSPHRASE + "\n")
    shell.json(
        "enrol", "admin", "--store", "sealed", "--passphrase-file", str(words), PEDIGREE_ENROL_SECRET="adminpw-1234"
    )
    assert [path.suffix for path in (tmp_path / "wallet").glob("admin*")] == [".sealed"]
    for environment in (
        {"PEDIGREE_WALLET_PASSPHRASE": PASSPHRASE},
        {"PEDIGREE_WALLET_PASSPHRASE_FILE": str(words)},
        {"CREDENTIALS_DIRECTORY": str(words.parent)},
    ):
        assert [each["label"] for each in shell.json("list", **environment)] == ["admin"]
    assert "PEDIGREE_WALLET_PASSPHRASE" in shell.refused("list")
    assert "does not open" in shell.refused("list", PEDIGREE_WALLET_PASSPHRASE="wrong horse battery")
    assert "kind sealed" in shell.refused("list", "--store", "files", PEDIGREE_WALLET_PASSPHRASE=PASSPHRASE)


def test_import_and_export_go_round(enrolled: Shell, tmp_path: Path) -> None:
    enrolled.json("export", "admin", "--msp", str(tmp_path / "msp"))
    taken = enrolled.json("import", "copy", "--msp", str(tmp_path / "msp"))
    assert taken["serial"] == enrolled.json("show", "admin")["serial"]
    assert enrolled.json("show", "copy")["name"] == "admin"
    assert "signcerts" in enrolled.refused("import", "other", "--msp", str(tmp_path / "nothing"))


def test_the_revocation_list_is_fetched_checked_and_shown(enrolled: Shell, fake: Any, tmp_path: Path) -> None:
    file = tmp_path / "crls" / "crl.pem"
    fake.revoked.add(77)
    fake.listed_at = datetime.now(UTC).replace(microsecond=0)
    answer = enrolled.json("crl", str(file), "--as", "admin")
    assert (answer["fetched"], answer["revoked"]) == (True, ["4d"])
    assert enrolled.json("crl", str(file), "--as", "admin", "--if-older-than", "1")["fetched"] is False
    assert enrolled.json("show", "admin", "--crl", str(file))["revocation"] == "not revoked"
    fake.listed_at -= timedelta(hours=1)
    assert "older than the one held" in enrolled.refused("crl", str(file), "--as", "admin")


def test_revoking_keeps_the_list_and_shows_what_was_revoked(enrolled: Shell, fake: Any, tmp_path: Path) -> None:
    fake.listed_at = datetime.now(UTC).replace(microsecond=0)
    enrolled("register", "gateway", "--as", "admin", "--secret-file", str(tmp_path / "secret"))
    serial = enrolled.json("enrol", "gateway", "--secret-file", str(tmp_path / "secret"))["serial"]
    file = tmp_path / "crl.pem"
    done = enrolled.json(
        "revoke", "--label", "gateway", "--as", "admin", "--reason", "keycompromise", "--crl", str(file)
    )
    assert [each["serial"] for each in done["revoked"]] == [serial]
    assert "is revoked" in enrolled.json("show", "gateway", "--crl", str(file))["revocation"]
    assert enrolled.json("revoke", "nobody", "--as", "admin", "--crl", str(file))["revoked"] == []


def test_what_the_ca_knows_is_listed(enrolled: Shell) -> None:
    assert [each["name"] for each in enrolled.json("registered", "--as", "admin")] == ["admin"]
    assert "hospital" in enrolled("registered", "--as", "admin").stdout


def test_tables_are_for_people(enrolled: Shell) -> None:
    lines = enrolled("list").stdout.splitlines()
    assert lines[0].split() == ["label", "name", "msp_id", "key", "not_after", "state"]
    assert lines[1].split()[:4] == ["admin", "admin", "HospitalMSP", "p256"]
    assert lines[1].endswith("valid")


def test_a_damaged_identity_does_not_hide_the_others(enrolled: Shell, tmp_path: Path) -> None:
    Wallet(tmp_path / "wallet").path("broken").write_bytes(b"")
    (tmp_path / "wallet" / "broken.pem").chmod(0o600)
    rows = enrolled.json("list")
    assert [row["label"] for row in rows] == ["admin", "broken"]
    assert "broken.pem" in rows[1]["state"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nobody"), "has no identity 'nobody'"),
        (("register", "x", "--as", "nobody"), "has no identity 'nobody'"),
        (("register", "x", "--as", "admin", "--attribute", "x"), "NAME=VALUE"),
        (("enrol", "x"), "PEDIGREE_ENROL_SECRET"),
        (("enrol", "a/b", "--if-needed"), "label"),
        (("revoke", "--as", "admin"), "say what to revoke"),
        (("revoke", "x", "--as", "admin", "--reason", "boredom"), "boredom"),
        (("revoke", "--serial", "1", "--as", "admin"), "authority key id"),
        (("crl", "x", "--as", "admin", "--ca-tls-certificate", __file__), "belong together"),
        (("enrol", "x", "--ca-url", "https://127.0.0.1:1", "--secret-file", __file__), "one line"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(enrolled: Shell, arguments: tuple[str, ...], said: str) -> None:
    assert said in enrolled.refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("enrol", "../x"), "label '../x'"),
        (("enrol", "admin", "--label", "a/b"), "label 'a/b'"),
        (("enrol", "admin", "--attribute", ":opt"), "attribute"),
        (("import", "a/b", "--msp", "{folder}"), "label 'a/b'"),
    ],
)
def test_what_can_be_refused_at_once_makes_no_wallet_and_uses_no_secret(
    shell: Shell, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    filled = [each.format(folder=tmp_path) for each in arguments]
    assert said in shell.refused(*filled, PEDIGREE_ENROL_SECRET="adminpw-1234")
    assert not (tmp_path / "wallet").exists()


def test_no_secret_is_ever_shown(enrolled: Shell, fake: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    shown = [
        enrolled("register", "gateway", "--as", "admin", "--secret-file", str(secret)),
        enrolled("enrol", "gateway", "--secret-file", str(secret)),
        enrolled("enrol", "gateway", PEDIGREE_ENROL_SECRET="wrong-secret"),
        enrolled("list"),
        enrolled("show", "gateway"),
        enrolled("show", "gateway", "--json"),
    ]
    assert [each.exit_code for each in shown] == [0, 0, 4, 0, 0, 0]
    for each in shown:
        for hidden in (fake.secrets["gateway"], "wrong-secret", "PRIVATE"):
            assert hidden not in each.output
    # Without a file there is no other way to learn it.
    assert enrolled.json("register", "other", "--as", "admin")["secret"] == fake.secrets["other"]
