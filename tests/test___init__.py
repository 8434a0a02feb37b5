"""What `from artcafe import …` gives, and that it costs nothing until it is asked for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import artcafe


@pytest.mark.parametrize("name", artcafe.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(artcafe, name)
    assert found.__name__ == name
    assert found.__doc__
    assert name in dir(artcafe)


def test_type_checkers_and_programs_see_the_same_names_from_the_same_places() -> None:
    tree = ast.parse(Path(artcafe.__file__).read_text())
    seen = {
        alias.name: statement.module
        for block in tree.body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == artcafe._HOMES
    assert sorted(seen) == sorted(artcafe.__all__)


def test_an_unknown_name_is_told_as_every_module_does() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Server'"):
        _ = artcafe.Server
    with pytest.raises(ImportError):
        exec("from artcafe import Server", {})


def test_importing_the_package_loads_neither_websockets_nor_cryptography() -> None:
    code = "import artcafe.wire.frames, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    names = {name.split(".")[0] for name in loaded.split()}
    assert names.isdisjoint({"websockets", "cryptography", "httpx"})
