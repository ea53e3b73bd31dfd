"""Every step says of which revision its outputs are."""

import ast
from pathlib import Path

import pytest

import cmb_toolkit

PACKAGE = Path(cmb_toolkit.__file__).parent
MODULES = {
    path: calls
    for path in sorted([*(PACKAGE / "steps").glob("*.py"), *(PACKAGE / "paper").glob("*.py")])
    if (
        calls := [
            node
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Record"
        ]
    )
}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_record_has_its_step_s_revision(module):
    for call in MODULES[module]:
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        assert any(isinstance(value, ast.Name) and value.id == "REVISION" for value in given), f"line {call.lineno}"
