"""Resolutions of slides from a table."""

import pytest

from hf_medreport.inference.slide_mpp import told_by
from hf_medreport.processing.input_error import InputError

UUID = "3F2504E0-4F89-11D3-9A0C-0305E82C3301"
DX1 = f"TCGA-AA-0001-01Z-00-DX1.{UUID}"


def table(folder, *rows, header="slide,mpp"):
    path = folder / "mpp.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_by_name_by_stem_and_by_path(tmp_path):
    path = table(tmp_path, "a.svs,0.25", f"{DX1},0.2", "again/b.svs,0.4", "gone.svs,1")
    slides = [tmp_path / name for name in ("a.svs", f"{DX1}.svs", "again/b.svs", "b.svs", "c.svs")]
    told = told_by(slides, 0.5, path)
    assert [told[str(slide)] for slide in slides] == [0.25, 0.2, 0.4, 0.5, 0.5]
    assert told_by(slides[3:4], None, table(tmp_path, "b.svs;0.3", header="slide;mpp"))
    assert str(slides[4]) not in told_by(slides, None, path)  # of which nobody said anything
    assert told_by(slides, 0.5) == 0.5 and told_by(slides) is None


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["a.svs,0.25"], "slide,microns", "mpp.csv: found columns slide, microns; expected columns slide and mpp"),
        (["a.svs,250"], "slide,mpp", "mpp.csv, row 1: found 250; expected microns per px, 0.02 to 20; 0.25 is usual"),
        (['a.svs,"0,25"'], "slide,mpp", "mpp.csv, row 1: found '0,25' as mpp; expected microns per px; 0.25 is usual"),
        (["b.svs,1", "a.svs,"], "slide,mpp", "mpp.csv, row 2: found no mpp; expected microns per px; 0.25 is usual"),
        ([",0.25"], "slide,mpp", "mpp.csv, row 1: found no slide; expected its name; fill it in or drop the row"),
        (["a.svs,0.2", "a.svs,0.3"], "slide,mpp", "mpp.csv, row 2: found a.svs again; expected each slide once"),
        (["a.svs,0.2", "a,0.3"], "slide,mpp", "mpp.csv: found 2 rows of a.svs; expected one a slide; drop all but one"),
        (["b.svs,0.2"], "slide,mpp", "mpp.csv: found no row of these slides; expected their names in the column"),
        ([], "slide,mpp", "mpp.csv: found no rows; expected columns slide and mpp; name a column 'slide'"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_used(tmp_path, rows, header, message):
    with pytest.raises(InputError) as error:
        told_by([tmp_path / "a.svs"], None, table(tmp_path, *rows, header=header))
    assert str(error.value).startswith(message)


def test_nothing_to_override_with(tmp_path):
    with pytest.raises(InputError, match="^override_slide_mpp: found it without a value; .* give `slide_mpp` or"):
        told_by([tmp_path / "a.svs"], override_slide_mpp=True)
