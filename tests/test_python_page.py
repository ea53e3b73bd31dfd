"""The page for Python users does what it says."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text("utf-8")


def test_the_example_prints_what_stands_beside_it(capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(code, "docs/python.md", "exec"), {})
    said = capsys.readouterr().out
    for line in ("1 2 1\n", "0.5 0.6666666666666666\n", "['tp', 'fp', 'fp']\n"):
        assert line in said
        assert f"# {line.strip()}\n" in code
