"""The benchmark that kills experiments."""

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def kills():
    """The benchmark that kills experiments, whose small study and parts the tests use."""
    path = Path(__file__).parents[2] / "benchmarks" / "kill_experiment.py"
    spec = importlib.util.spec_from_file_location("kill_experiment", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
