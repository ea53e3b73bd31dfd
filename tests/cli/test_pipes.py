"""A pipe, a device or a folder in the place of a record or table: no command waits for it or reads it for ever."""

import os
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import CmbError
from cmb_toolkit.io.tables import write_tsv
from cmb_toolkit.study.layout import Study

CELL = Path("cells", "HR_swi_fold-1")
READERS = {
    Path("study.toml"): ("split", "."),
    Path("participants.tsv"): ("split", "."),
    Path("microbleeds.tsv"): ("split", "."),
    Path("folds.tsv"): ("prepare-yolo", ".", "--fold", "1"),
    Path("experiment.json"): ("experiment", "plan", "."),
    CELL / "darknet.json": ("stage1-train", str(CELL)),
    CELL / "candidates.json": ("stage2-crop", str(CELL)),
    CELL / "patches.json": ("stage2-train", str(CELL)),
    CELL / "cnn.keras": ("stage2-classify", str(CELL)),
    CELL / "evaluation" / "metrics.json": ("tables", "."),
}


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")],
                         ids=["pipe", "folder", "device"])  # fmt: skip
@pytest.mark.parametrize("place", READERS, ids=str)
def test_what_is_no_file_is_not_read(tmp_path, monkeypatch, place, put):
    study = Study.create(tmp_path / "study", "x")
    monkeypatch.chdir(study.root)
    people = pd.DataFrame({"participant_id": ["sub-1"], "resolution": "HR", "scanner": "A", "group": "patient"})
    write_tsv(people.assign(magnitude="m.nii", phase="p.nii"), study.participants)
    marks = pd.DataFrame({"participant_id": ["sub-1"], **dict.fromkeys("ijk", 1)})
    write_tsv(marks.assign(x_mm=0.0, y_mm=0.0, z_mm=0.0), study.microbleeds)
    (study.root / place).parent.mkdir(parents=True, exist_ok=True)
    (study.root / place).unlink(missing_ok=True)
    put(study.root / place)
    result = CliRunner().invoke(cli, READERS[place])
    assert isinstance(result.exception, CmbError), result.exception
    assert result.exception.exit_code in (3, 5)
