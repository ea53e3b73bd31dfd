"""The benchmark that kills experiments; commands in this process."""

import importlib.util
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli


@pytest.fixture(scope="session")
def kills():
    """The benchmark that kills experiments, whose small study and parts the tests use."""
    path = Path(__file__).parents[2] / "benchmarks" / "kill_experiment.py"
    spec = importlib.util.spec_from_file_location("kill_experiment", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run_cli():
    """Runs a command in this process and gives what it says, of an error its words."""

    def run(*words, code=0):
        result = CliRunner().invoke(cli, [*map(str, words)])
        if code and result.exception is not None and not isinstance(result.exception, SystemExit):
            assert result.exception.exit_code == code
            return str(result.exception)
        assert result.exit_code == code, result.output
        return result.output

    return run
