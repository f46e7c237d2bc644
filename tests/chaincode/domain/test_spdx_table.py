# SPDX-License-Identifier: Apache-2.0
"""The table of licences is what the script writes from a copy of the SPDX list."""

import json
from pathlib import Path

import pytest

from chaincode.domain.spdx_ids import EXCEPTIONS, LICENCES, LIST_VERSION
from tests.chaincode.domain import spdx_table


@pytest.fixture
def copy(tmp_path):
    """A copy of a small list, in the layout of spdx/license-list-data."""
    folder = tmp_path / "json"
    folder.mkdir()

    def make(version="9.9", exceptions_of=None):
        licences = {"licenseListVersion": version, "licenses": [{"licenseId": "Zlib"}, {"licenseId": "0BSD"}]}
        exceptions = {"licenseListVersion": exceptions_of or version, "exceptions": [{"licenseExceptionId": "x"}]}
        (folder / "licenses.json").write_text(json.dumps(licences))
        (folder / "exceptions.json").write_text(json.dumps(exceptions))
        return tmp_path

    return make


def test_the_table_is_as_the_script_writes_it():
    assert spdx_table.render(LIST_VERSION, LICENCES, EXCEPTIONS) == spdx_table.TABLE.read_text(encoding="utf-8")


def test_a_copy_of_the_list_becomes_a_table(copy, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(spdx_table, "TABLE", tmp_path / "spdx_ids.py")
    spdx_table.main(copy())
    written: dict[str, object] = {}
    exec(Path(tmp_path / "spdx_ids.py").read_text(), written)
    assert (written["LIST_VERSION"], written["LICENCES"], written["EXCEPTIONS"]) == ("9.9", {"Zlib", "0BSD"}, {"x"})
    said = capsys.readouterr().out
    assert f"spdx_ids.py: {LIST_VERSION} -> 9.9; new: x" in said
    assert "no longer listed" in said
    assert "MIT" in said
    assert spdx_table.read(copy() / "json")[0] == "9.9"


def test_files_that_are_no_release_are_refused(copy):
    with pytest.raises(ValueError, match=r"exceptions.json of 9.8"):
        spdx_table.read(copy(exceptions_of="9.8"))
    with pytest.raises(ValueError, match="no release"):
        spdx_table.read(copy(version="c2dbc5a"))
