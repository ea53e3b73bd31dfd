"""Where there was too little to choose by it is said, when it is chosen and beside the numbers."""

import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.evaluation.recipe import Evaluating
from cmb_toolkit.evaluation.results import CellResult
from cmb_toolkit.io.publish import Record, publish, read_record
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.steps.evaluate import evaluate
from cmb_toolkit.study.evidence import hit_distance, validated

pytestmark = pytest.mark.usefixtures("without_pictures")

NAME = "slab_swi+cphase-averaged_fold-1"


def test_persons_are_counted_and_their_marks(classified_study):
    subjects = ["sub-001", "sub-002", "sub-003"]
    assert "on 3 validation persons with 4 microbleeds" in validated(classified_study, "x", subjects)[0]
    marks = read_tsv(classified_study.microbleeds)
    write_tsv(pd.concat([marks] * 3), classified_study.microbleeds)
    assert validated(classified_study, "x", subjects) == []
    people = read_tsv(classified_study.participants)
    people["person_id"] = ["a" if name in subjects[:2] else None for name in people["participant_id"]]
    with publish(classified_study.participants, Record("import", {})) as path:
        write_tsv(people, path)
    assert "on 2 validation persons with 12 microbleeds" in validated(classified_study, "x", subjects)[0]


def test_a_hit_has_to_reach_the_next_slice(classified_study):
    assert hit_distance(classified_study, 2.0, ["sub-001"]) == []
    assert "1.5 mm is less than the 2 mm" in hit_distance(classified_study, 1.5, ["sub-001"])[0]


def test_warnings_stand_beside_the_numbers(classified_study, read_json):
    cell = classified_study.cell_named(NAME)
    note = read_record(cell.findings)
    said = ["the threshold of stage 2 was chosen on 1 validation person"]
    findings = read_tsv(cell.findings)
    with publish(cell.findings, Record("stage2-classify", {})) as path:
        path.note(threshold=note["threshold"], warnings=said)
        write_tsv(findings, path)
    said = []
    evaluate(cell.folder, Evaluating(distance_mm=1.0, most_false=0), on_note=said.append)
    result = CellResult.from_json(read_json(cell.metrics))
    assert len(result.warnings) == len(said) == 2
    shown = " ".join(CliRunner().invoke(cli, ["tables", str(classified_study.root)]).output.split())
    for words in ("chosen on 1 validation person", "hit distance of 1 mm is less than the 2 mm"):
        assert any(words in line for line in said)
        assert any(words in line for line in result.warnings)
        assert words in shown
