"""A file is found however its umlauts are spelt."""

from cmb_toolkit.io.spelling import on_disk


def test_a_file_is_found_under_either_spelling(tmp_path):
    (tmp_path / "Mu\u0308ller").mkdir()
    (tmp_path / "Mu\u0308ller" / "\u00fc.nii").write_text("x")
    for given in ("Mu\u0308ller/u\u0308.nii", "M\u00fcller/\u00fc.nii", "M\u00fcller/u\u0308.nii"):
        assert on_disk(tmp_path / given).read_text() == "x"


def test_what_is_nowhere_stays_as_given(tmp_path):
    assert on_disk(tmp_path / "M\u00fcller" / "x.nii") == tmp_path / "M\u00fcller" / "x.nii"
