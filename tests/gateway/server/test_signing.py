# SPDX-License-Identifier: Apache-2.0
"""The identity that a gateway signs with: where it is, when it is refused, and what is said while it cannot be used."""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from authorities import issue
from tokens import MISSING, MODULE, PIN, TOOL, configured, initialise

from gateway.fabric import Identity, KeyUnavailable, Trust
from gateway.identities.credential import Credential
from gateway.identities.errors import (
    CertificateExpired,
    CertificateRefused,
    DamagedIdentity,
    IdentityError,
    NoSuchIdentity,
    WalletError,
)
from gateway.identities.mspfolder import read_msp
from gateway.identities.wallets import open_wallet
from gateway.server.options import Options
from gateway.server.settings import SettingsError
from gateway.server.signing import SigningKey, look_up, open_key
from network.material import Material, ensure_material
from network.topology import default_topology

PASSPHRASE = b"canary-passphrase"
OTHER = "hospital.example"


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return ensure_material(default_topology(any_port=True), tmp_path_factory.mktemp("material"))


@pytest.fixture
def member(material: Material) -> Credential:
    return read_msp("LabMSP", material.user("lab.example") / "msp")


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_bytes(PASSPHRASE)
    path.chmod(0o600)
    return path


@pytest.fixture
def wallet(tmp_path: Path, member: Credential) -> Path:
    """A sealed wallet with the identity `gateway` of the lab's."""
    made = open_wallet(tmp_path / "wallet", lambda: PASSPHRASE, make="sealed")
    made.put("gateway", member)
    return made.folder


def anybody(_identity: Identity) -> None:
    """Accepts whatever was renewed."""


def settings(wallet: Path | None, **options: Any) -> Any:
    organisation = SimpleNamespace(msp_id=options.pop("msp_id", "LabMSP"), user_msp=options.pop("user_msp", None))
    return SimpleNamespace(organisation=organisation, options=Options(wallet=wallet, **options))


def test_without_a_wallet_it_is_in_the_msp_folder(material: Material, member: Credential) -> None:
    with ExitStack() as guard:
        key = open_key(settings(None, user_msp=material.user("lab.example") / "msp"), guard, anybody)
        identity, sign = key.pair()
        assert identity.credentials == member.pem
        assert sign(bytes(32))
        assert key.problem is None


def test_in_a_sealed_wallet_it_is_opened_by_what_a_file_holds(
    wallet: Path, passphrase: Path, member: Credential
) -> None:
    chosen = settings(wallet, wallet_passphrase_file=passphrase)
    assert look_up(chosen).credentials == member.pem
    with ExitStack() as guard:
        assert open_key(chosen, guard, anybody).pair()[0].credentials == member.pem


def test_what_is_wrong_with_a_wallet_is_one_line(
    wallet: Path, passphrase: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PEDIGREE_WALLET_PASSPHRASE", "PEDIGREE_WALLET_PASSPHRASE_FILE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"another")
    wrong.chmod(0o600)
    for chosen, said in (
        (settings(wallet), "--wallet-passphrase-file"),
        (settings(wallet, wallet_passphrase_file=wrong), "passphrase"),
        (settings(wallet, wallet_passphrase_file=passphrase, identity="other"), "no identity 'other'"),
        (settings(wallet, wallet_passphrase_file=passphrase, msp_id="HospitalMSP"), "of LabMSP, not of HospitalMSP"),
        (settings(tmp_path / "none", wallet_passphrase_file=passphrase), "is not a wallet"),
    ):
        with pytest.raises(SettingsError, match=said) as refused:
            look_up(chosen)
        assert "\n" not in str(refused.value)
        assert PASSPHRASE.decode() not in str(refused.value)
        with pytest.raises(SettingsError, match=said), ExitStack() as guard:
            open_key(chosen, guard, anybody)


def issued(until: timedelta) -> Credential:
    now = datetime.now(UTC)
    holder = issue("gateway", issue("ca", authority=True), start=now - timedelta(days=2), end=now + until)
    return Credential("LabMSP", holder.certificate, holder.key)


def test_what_was_renewed_is_taken_and_what_has_ended_is_not() -> None:
    first, second, ended = (issued(timedelta(days=days)) for days in (2, 2, -1))
    kept = [first]
    key = SigningKey(lambda: kept[-1])
    kept.append(ended)
    with pytest.raises(CertificateExpired):
        key.identity.reload()
    assert key.pair()[0].credentials == first.pem
    kept.append(second)
    assert key.identity.reload()
    assert key.pair()[0].credentials == second.pem
    assert key.problem is None


def test_a_renewed_certificate_of_another_member_is_not_taken(material: Material, tmp_path: Path) -> None:
    folders = {
        f"{name}MSP": material.organisation(domain) / "msp"
        for name, domain in (("Lab", "lab.example"), ("Hospital", OTHER))
    }
    trust = Trust.from_msp_folders(folders, bytes(32))
    folder = tmp_path / "msp"
    shutil.copytree(material.user("lab.example") / "msp", folder)
    with ExitStack() as guard:
        chosen = settings(None, user_msp=folder)
        key = open_key(chosen, guard, lambda renewed: trust.msps.member(renewed.serialized))
        held = key.pair()[0]
        for part in ("signcerts", "keystore"):
            shutil.rmtree(folder / part)
            shutil.copytree(material.user(OTHER) / "msp" / part, folder / part)
        with pytest.raises(CertificateRefused, match=f"certificate of User1@{OTHER} is not of LabMSP"):
            key.identity.reload()
        assert key.pair()[0] is held
        assert key.problem is None


def test_a_renewal_that_its_token_has_no_key_for_leaves_the_former_usable(member: Credential) -> None:
    answers: list[Credential | WalletError] = [member, NoSuchIdentity("no key"), DamagedIdentity("not an identity")]

    def load() -> Credential:
        answer = answers.pop(0)
        if isinstance(answer, WalletError):
            raise answer
        return answer

    key = SigningKey(load, in_token=True)
    for refusal in (NoSuchIdentity, DamagedIdentity):
        with pytest.raises(refusal):
            key.identity.reload()
        assert key.problem is None
        assert key.pair()[1](bytes(32))


@pytest.mark.parametrize("in_token", [False, True])
def test_a_wallet_that_cannot_be_read_matters_where_the_key_is_in_it(member: Credential, *, in_token: bool) -> None:
    answers: list[Credential | IdentityError] = [member, WalletError("the token is gone"), member]

    def load() -> Credential:
        answer = answers.pop(0)
        if isinstance(answer, IdentityError):
            raise answer
        return answer

    key = SigningKey(load, in_token=in_token)
    with pytest.raises(WalletError):
        key.identity.reload()
    assert key.problem == ("the token is gone" if in_token else None)
    key.identity.reload()
    assert key.problem is None


def test_a_signature_that_fails_says_so_until_one_succeeds(member: Credential) -> None:
    failing = [True]

    def signer(digest: bytes) -> bytes:
        if failing:
            raise KeyUnavailable("the token is gone")
        return digest

    credential = replace(member)
    vars(credential)["signer"] = signer  # where the cached property keeps it
    key = SigningKey(lambda: credential)
    with pytest.raises(KeyUnavailable):
        key.pair()[1](bytes(32))
    assert key.problem == "the token is gone"
    failing.clear()
    assert key.pair()[1](bytes(32))
    assert key.problem is None


@pytest.mark.skipif(MODULE is None or TOOL is None, reason=MISSING)
def test_a_token_is_asked_by_a_process_of_its_own(tmp_path: Path, material: Material) -> None:
    configuration = configured(tmp_path / "softhsm")
    initialise(configuration, "lab")
    program = Path(__file__).parents[2] / "reliability" / "tokenenrolment.py"
    arguments = [tmp_path / "wallet", material.organisation("lab.example"), MODULE]
    environment = {**os.environ, "SOFTHSM2_CONF": str(configuration), "PEDIGREE_WALLET_PASSPHRASE": PIN}
    subprocess.run([sys.executable, program, *arguments], check=True, env=environment)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from types import SimpleNamespace as N; from gateway.server.options import Options;"
        "from gateway.server.signing import look_up; from gateway.server.settings import SettingsError\n"
        "chosen = N(organisation=N(msp_id='LabMSP', user_msp=None), options=Options(wallet=Path(sys.argv[2])))\n"
        "try: print(look_up(chosen))\n"
        "except SettingsError as exc: print(exc)\n"
        "assert 'pkcs11' not in sys.modules, 'the library must not be open where the worker is forked'"
    )
    for pin, said in ((PIN, "Identity('LabMSP')"), ("000000", "the PIN does not open token 'lab'")):
        asked = [sys.executable, "-c", code, str(Path.cwd()), str(tmp_path / "wallet")]
        told = subprocess.run(
            asked, capture_output=True, text=True, check=False,
            env={**environment, "PEDIGREE_WALLET_PASSPHRASE": pin},
        )  # fmt: skip
        assert (told.returncode, told.stdout.strip()) == (0, said), told.stderr
