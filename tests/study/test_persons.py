"""Who is who: by name, by column, and how the two go together; and who was read."""

import pandas as pd
import pytest

from cmb_toolkit.errors import DataError, UsageError
from cmb_toolkit.evaluation.recipe import Folding
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.steps.split import split
from cmb_toolkit.study.cohort import NO_FOLD, read_fold, read_participants, roles_in
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.persons import of_several_scans, split_persons, unread, with_persons, wrong_persons


def table(names, **columns):
    return pd.DataFrame({"participant_id": names, "group": "patient", **columns})


def quiet(done, total, what):
    pass


def test_by_the_name_alone():
    found = with_persons(table(["sub-01_ses-1", "sub-01_ses-2", "sub-02"]))
    assert found["person_id"].tolist() == ["sub-01", "sub-01", "sub-02"]
    assert found["session_id"].tolist()[:2] == ["1", "2"]
    assert of_several_scans(found) == {"sub-01_ses-1": "sub-01", "sub-01_ses-2": "sub-01", "sub-02": "sub-02"}
    single = with_persons(table(["sub-01", "sub-02"]))
    assert of_several_scans(single) is None
    assert "session_id" not in single


def test_the_column_decides_and_fills_in_for_the_same_name():
    names = ["sub-a1", "sub-a2", "sub-7_ses-1", "sub-7_ses-2", "sub-8", "sub-9"]
    given = ["A", "sub-A", "old-7", None, None, "8"]
    found = with_persons(table(names, person_id=given))
    assert found["person_id"].tolist() == ["sub-A", "sub-A", "old-7", "old-7", "sub-8", "sub-8"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"person_id": ["A", "B", None]}, "sub-01_ses-1 is sub-A, sub-01_ses-2 is sub-B; by their names"),
        ({"person_id": ["$(x)", None, None]}, r"sub-01_ses-1: person '\$\(x\)': expected letters"),
        ({"session_id": ["1", "3", None]}, "session_id '3' is not the session of its name, 2"),
        ({"session_id": ["1", None, "a b"]}, "sub-02: session 'a b': expected"),
        ({"read": ["yes", "no", "perhaps"]}, "sub-02: read is 'perhaps'; expected yes"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path, columns, said):
    study = Study.create(tmp_path / "s", "x")
    frame = table(["sub-01_ses-1", "sub-01_ses-2", "sub-02"], resolution="HR", scanner="a", **columns)
    write_tsv(frame, study.participants)
    with pytest.raises(DataError, match=said):
        read_participants(study)
    assert len(list(wrong_persons(frame))) == 1


def test_who_was_read():
    frame = table(["a", "b", "c", "d", "e"], read=["yes", "no", None, None, None])
    frame.loc[4, "group"] = "control"
    assert unread(frame, ["b", "c"]) == ["b", "d"]
    assert unread(frame.drop(columns="read"), []) == [], "without the column every scan was read"


def test_persons_in_several_sets():
    roles = {"train": ["sub-1_ses-1", "sub-2"], "test": ["sub-1_ses-2", "sub-3"], "control": ["sub-4", "sub-5"]}
    assert split_persons(roles, {"sub-4": "h", "sub-5": "h"}) == ["sub-1: sub-1_ses-1 (train), sub-1_ses-2 (test)"]
    assert split_persons(roles, {"sub-2": "p", "sub-3": "p", "sub-1_ses-1": "q"}) == ["p: sub-2 (train), sub-3 (test)"]


# --- in a study ------------------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path):
    """Eight persons: four scanned in HR and LR, four twice in HR; a mark in each scan but the last two persons'."""
    study = Study.create(tmp_path / "study", "x")
    rows = [(f"sub-{n}_ses-{s}", "LR" if n < 4 and s == 2 else "HR") for n in range(8) for s in (1, 2)]
    frame = pd.DataFrame(rows, columns=["participant_id", "resolution"]).assign(scanner="a", group="patient")
    write_tsv(frame, study.participants)
    marks = [(name, 1, 1, 1, 0.0, 0.0, 0.0) for name, _ in rows[:12]]
    write_tsv(pd.DataFrame(marks, columns=["participant_id", "i", "j", "k", "x_mm", "y_mm", "z_mm"]), study.microbleeds)
    return study


def test_no_fold_has_a_person_in_two_sets(study):
    split(study.root, Folding(folds=2), on_progress=quiet)
    folds = read_tsv(study.folds)
    person = folds["participant_id"].str[:5]
    assert folds.groupby([folds["fold"], person])["role"].nunique().max() == 1
    assert len(read_fold(study, "1").test) > 0


def test_folds_of_ones_own_that_split_a_person_are_refused(study):
    split(study.root, Folding(folds=2), on_progress=quiet)
    folds = read_tsv(study.folds)
    line = folds[(folds["role"] == "test") & (folds["fold"] == 1)].index[0]
    name = folds.loc[line, "participant_id"]
    folds.loc[line, "role"] = "train"
    write_tsv(folds, study.folds)
    with pytest.raises(
        DataError, match=rf"fold 1 has scans of one person in several sets:\n{name[:5]}: .*{name} \(train"
    ):
        read_fold(study, "1")
    read_fold(study, "2")
    folds.loc[line, "role"] = "excluded"
    write_tsv(folds, study.folds)
    fold = roles_in(study, "1", read_participants(study))
    assert fold.excluded == (name,)
    folds.loc[line, "role"] = "tested"
    write_tsv(folds, study.folds)
    with pytest.raises(DataError, match=r"'tested'.*train.*validation.*test.*control.*excluded"):
        read_fold(study, "1")


def test_patients_nobody_has_read_are_in_no_set(study):
    frame = read_tsv(study.participants).assign(read=None)
    write_tsv(frame, study.participants)
    said = []
    split(study.root, Folding(folds=2), on_note=said.append, on_progress=quiet)
    folds = read_tsv(study.folds)
    strangers = {f"sub-{n}_ses-{s}" for n in (6, 7) for s in (1, 2)}
    assert set(folds["participant_id"][folds["role"] == "excluded"]) == strangers
    assert "4 patients excluded from all folds, because nobody has read the scans: sub-6_ses-1" in said[0]
    # detection alone looks at them, too
    assert strangers < set(roles_in(study, NO_FOLD, read_participants(study)).test)
    folds.loc[folds["participant_id"] == "sub-6_ses-1", "role"] = "train"
    folds.loc[folds["participant_id"] == "sub-6_ses-2", "role"] = "train"
    write_tsv(folds, study.folds)
    with pytest.raises(DataError, match="roles for patients whose scans nobody has read: sub-6_ses-1, sub-6_ses-2"):
        roles_in(study, "1", read_participants(study))
    write_tsv(frame.assign(read="yes"), study.participants)
    assert "sub-6_ses-1" in roles_in(study, "1", read_participants(study)).train
    said.clear()
    split(study.root, Folding(folds=2), force=True, on_note=said.append, on_progress=quiet)
    assert not said
    assert "excluded" not in set(read_tsv(study.folds)["role"])


@pytest.mark.parametrize("how", ["edited", "without a record"])
def test_folds_made_by_hand_are_never_replaced_unasked(study, how):
    split(study.root, Folding(folds=2), on_progress=quiet)
    if how == "edited":
        write_tsv(read_tsv(study.folds).iloc[::-1], study.folds)
    else:
        study.folds.with_suffix(".json").unlink()
    mine = study.folds.read_bytes()
    for arguments in ({"folds": 2}, {"folds": 2, "seed": 7}):
        with pytest.raises(UsageError, match=r"folds\.tsv: was made or changed by hand.*--force"):
            split(study.root, Folding(**arguments), on_progress=quiet)
        assert study.folds.read_bytes() == mine
    split(study.root, Folding(folds=2, seed=7), force=True, on_progress=quiet)
    assert study.folds.read_bytes() != mine
    split(study.root, Folding(folds=2), on_progress=quiet)  # these are ours again
