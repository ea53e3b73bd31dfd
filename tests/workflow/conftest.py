"""Studies that exist as tables only, and the benchmark that kills experiments."""

import importlib.util
import sys
from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture
def participants():
    """Six patients and a control of each resolution, on two scanners, four patients of the first."""

    def make(*resolutions, scanners=("A", "B")):
        rows = []
        for resolution in resolutions:
            for n in range(7):
                group = "control" if n == 6 else "patient"
                scanner = scanners[-1] if n in (4, 5) else scanners[0]
                rows.append((f"sub-{len(rows) + 1:03d}", resolution, scanner, group))
        return pd.DataFrame(rows, columns=["participant_id", "resolution", "scanner", "group"])

    return make


@pytest.fixture(scope="session")
def kills():
    """The benchmark that kills experiments, whose small study and parts the tests use."""
    path = Path(__file__).parents[2] / "benchmarks" / "kill_experiment.py"
    spec = importlib.util.spec_from_file_location("kill_experiment", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
