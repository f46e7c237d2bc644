# SPDX-License-Identifier: Apache-2.0
"""The package gives every name that it promises, and imports the client only for who asks for it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pedigree


def test_every_promised_name_is_there_and_typed_as_what_it_is() -> None:
    tree = ast.parse(Path(pedigree.__file__).read_text(encoding="utf-8"))
    typed = next(node for node in tree.body if isinstance(node, ast.If))
    named = {alias.name: node.module for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == pedigree._MODULE
    assert set(named) == set(pedigree.__all__) <= set(dir(pedigree))
    for name, module in named.items():
        assert getattr(pedigree, name) is getattr(sys.modules[str(module)], name)


def test_a_name_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = pedigree.nothing  # type: ignore[attr-defined,unused-ignore]


def test_the_help_of_the_command_does_not_import_the_client() -> None:
    said = "import sys, gateway.cli; print({'httpx', 'pedigree.client'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
