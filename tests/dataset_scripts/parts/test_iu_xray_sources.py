"""Both forms of the Indiana University collection become the same studies; what is wrong with one is told."""

import gzip
import importlib.util
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.dataset_scripts.iu_xray import CleaningRules, clean
from hf_medreport.dataset_scripts.parts.iu_xray_sources import (
    Sources,
    Study,
    normalized,
    read_archive,
    read_kaggle,
    read_openi,
    read_views,
)
from hf_medreport.processing.input_error import InputError
from tests.dataset_scripts.iu_xray_trees import film, names_of, report_row, write_csv, write_kaggle, write_tgz, xml

SICK = "Opacity/lung/base/left;Catheters, Indwelling"


def test_kaggles_tables(tmp_path):
    problems = []
    tables = write_kaggle(tmp_path, {1: "normal", 12: SICK})
    studies = read_kaggle(tables["reports_csv"], tables["projections_csv"], problems)
    names = names_of(12)
    assert problems == [] and [study.uid for study in studies] == ["1", "12"]
    assert studies[1] == Study(
        uid="12",
        images=((names[0], "frontal"), (names[1], "lateral")),
        mesh=("Opacity/lung/base/left", "Catheters, Indwelling"),
        problems=("Opacity", "Catheters, Indwelling"),
        indication="Cough",
        comparison="None.",
        findings="Clear lungs.",
        impression="No acute disease.",
    )


def sources_of(folder: Path) -> dict[str, Path]:
    """The same two reports as folder, archive and wheel."""
    reports = {f"ecgen-radiology/{uid}.xml": xml(uid, codes) for uid, codes in ((1, ["normal"]), (12, SICK.split(";")))}
    for name, content in reports.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    archive = write_tgz(folder / "NLMCXR_reports.tgz", reports)
    with zipfile.ZipFile(folder / "txv.whl", "w") as wheel:
        wheel.write(archive, "torchxrayvision/data/NLMCXR_reports.tgz")
    return {"folder": folder / "ecgen-radiology", "archive": archive, "wheel": folder / "txv.whl"}


@pytest.mark.parametrize("form", ["folder", "archive", "wheel"])
def test_open_is_reports_are_kaggles(tmp_path, form):
    tables = write_kaggle(tmp_path, {1: "normal", 12: SICK})
    kaggle = read_kaggle(tables["reports_csv"], tables["projections_csv"], [])
    openi = list(read_openi(sources_of(tmp_path)[form], tmp_path / "images", tables["projections_csv"]))
    assert openi == kaggle
    bare = list(read_archive(sources_of(tmp_path)[form]))
    assert [study.images[0] for study in bare] == [("CXR1_IM-0001-1001", None), ("CXR12_IM-0012-1001", None)]


def test_views_stand_in_dicom_headers_where_no_table_gives_them(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    (tmp_path / "films").mkdir()
    for name, view in (("1_IM-0001-1001", "PA"), ("1_IM-0001-2001", "LL"), ("1_IM-0001-3001", "")):
        header = pydicom.Dataset()
        header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
        header.ViewPosition = view
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        header.save_as(tmp_path / "films" / f"{name}.dcm", enforce_file_format=True)
    (tmp_path / "films" / "1_IM-0001-4001.dcm").write_text("no header")
    ids = [f"CXR1_1_IM-0001-{number}001" for number in (1, 2, 3, 4, 5)]
    archive, problems = write_tgz(tmp_path / "r.tgz", {"1.xml": xml(1, ids=ids)}), []
    (study,) = read_openi(archive, tmp_path / "films", problems=problems)
    assert study.images == (
        ("1_IM-0001-1001.dcm", "frontal"),
        ("1_IM-0001-2001.dcm", "lateral"),
        ("1_IM-0001-3001.dcm", None),
        ("1_IM-0001-4001.dcm", None),
        ("CXR1_1_IM-0001-5001", None),  # no such file
    )
    assert problems == [
        "1_IM-0001-4001.dcm: found a damaged DICOM header; expected a DICOM film; copy it again",
    ]


def test_views_of_the_dicom_table(tmp_path):
    rows = [("imageid", "View Position"), ("CXR7_IM-0003-2001", "AP"), ("CXR7_IM-0003-3001", "LARGE LATERAL")]
    views = read_views(write_csv(tmp_path / "v.csv", [*rows, ("CXR7_IM-0003-4001", "")]))
    assert views == {("7", "IM-0003-2001"): "frontal", ("7", "IM-0003-3001"): "lateral"}


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("Lymph nodes/left", "Lymph Nodes/left"),
        ("Thoracic vertebrae/degenerative", "Thoracic Vertebrae/degenerative"),
        ("Fractures, Bone/Thoracic Vertebrae", "Fractures, Bone/thoracic vertebrae"),
        ("Subcutaneous  Emphysema/right ", "Subcutaneous Emphysema/right"),
        ("Technical Quality of Image Unsatisfactory ", "Technical Quality of Image Unsatisfactory"),
        ("Bone and Bones", "Bone and Bones"),
        ("Normal", "normal"),
        ("/", ""),
    ],
)
def test_defects_of_codes_are_mended(code, meant):
    assert normalized(code) == meant


@given(st.text(alphabet="aB ,/", max_size=20))
def test_mending_twice_changes_nothing(code):
    assert normalized(normalized(code)) == normalized(code)


# --- the real archive, read where it lies ---


def real_archive() -> Path:
    """The archive that MEDREPORT_IU_ARCHIVE names, or that of an installed torchxrayvision."""
    if named := os.environ.get("MEDREPORT_IU_ARCHIVE"):
        return Path(named)
    package = importlib.util.find_spec("torchxrayvision")
    path = package and Path(package.origin).parent / "data" / "NLMCXR_reports.tgz"
    if not path or not path.is_file():
        pytest.skip("no archive: set MEDREPORT_IU_ARCHIVE to NLMCXR_reports.tgz or to torchxrayvision's wheel")
    return path


def test_the_published_counts_are_replayed():
    """What the published description counts in the archive; its `every` (466) names no list of terms."""
    studies = list(read_archive(real_archive()))
    assert len(studies) == 3955 and sum(len(study.images) for study in studies) == 7470
    steps = clean(studies, CleaningRules(lung_rule="off"))[1]["steps"]
    assert steps == {
        "read": 3955,
        "exactly two images": 3208,
        "one frontal and one lateral": None,
        "with impression": 3189,
        "indexed": 3119,
        "normal": 1167,
        "abnormal": 1952,
    }

    def abnormal(**rules) -> int:
        return clean(studies, CleaningRules(**rules))[1]["steps"]["abnormal"]

    assert abnormal(lung_terms=("lung",)) == 1110
    assert abnormal(lung_terms=("lung",), lung_rule="every") == 296
    assert abnormal() == 1360 and abnormal(lung_rule="every") == 591
    assert clean(studies, CleaningRules(unindexed="normal"))[1]["steps"]["normal"] == 1237
    assert sum("XXXX" in study.impression for study in studies) == 672


# --- what is wrong with one study ---

BOMB = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><eCitation>&b;</eCitation>'
FETCH = '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]><eCitation><uId id="CXR2"/>&a;</eCitation>'
LINK = tarfile.TarInfo("2.xml")
LINK.type, LINK.linkname = tarfile.SYMTYPE, "/etc/hostname"
ORIGINAL = "take the report from the original archive"
VIEW = "expected Frontal or Lateral, or PA, AP, LL, RL; correct it or leave it empty"


def kaggle(folder, **rows):
    return write_kaggle(folder, {1: "normal", 2: SICK}, **rows)


def projections(*changed):
    """The rows of studies 1 and 2, the last ones replaced by `changed`."""
    rows = [
        (uid, name, view) for uid in (1, 2) for name, view in zip(names_of(uid), ("Frontal", "Lateral"), strict=True)
    ]
    return rows[: 4 - len(changed)] + list(changed)


FRONTAL, LATERAL = names_of(2)
BAD_ROWS = {
    "a uid without a report": (
        dict(projections=[*projections(), (9, names_of(9)[0], "Frontal")]),
        "indiana_projections.csv, row 5: found uid 9, which has no report; expected a uid of indiana_reports.csv"
        "; drop the row",
        ["1", "2"],
    ),
    "another patient's film": (
        dict(projections=projections((2, "13_IM-0002-2001.dcm.png", "Lateral"))),
        "indiana_projections.csv, row 4: found 13_IM-0002-2001.dcm.png under uid 2; expected films of patient 2"
        "; correct the uid or the file name",
        ["1"],
    ),
    "a film listed twice": (
        dict(projections=projections((2, FRONTAL, "Frontal"), (2, FRONTAL, "Lateral"))),
        f"indiana_projections.csv, row 4: found {FRONTAL} again (first: row 3); expected each film once"
        "; drop one of them",
        ["1"],
    ),
    "a film outside the folder": (
        dict(projections=projections((2, "../secret.png", "Lateral"))),
        "indiana_projections.csv, row 4: found '../secret.png'; expected the name of a file in `images`"
        "; correct 'filename'",
        ["1"],
    ),
    "a film without a name": (
        dict(projections=projections((2, "", "Lateral"))),
        "indiana_projections.csv, row 4: found no file name; expected the name of a file in `images`"
        "; correct 'filename'",
        ["1"],
    ),
    "an unknown view": (
        dict(projections=projections((2, LATERAL, "Oblique"))),
        f"indiana_projections.csv, row 4: found projection 'Oblique'; {VIEW}",
        ["1"],
    ),
    "a uid twice": (
        dict(reports=[report_row(1), report_row(2), report_row(1, SICK)]),
        "indiana_reports.csv, row 3: found uid 1 again; expected one report a uid; drop one of them",
        ["1", "2"],
    ),
    "no uid": (
        dict(reports=[report_row(1), report_row(2), report_row("")]),
        "indiana_reports.csv, row 3: found no uid; expected the report's number; fill it in or drop the row",
        ["1", "2"],
    ),
}


@pytest.mark.parametrize(("rows", "message", "left"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_told_and_the_others_are_read(tmp_path, rows, message, left):
    tables, problems = kaggle(tmp_path, **rows), []
    studies = Sources(**tables).read(None, problems)
    assert problems == [message] and [study.uid for study in studies] == left


BAD_REPORTS = {
    "broken XML": (xml(2)[:-30], f"2.xml: found broken XML (line 2); expected a complete report; {ORIGINAL}"),
    "an unknown encoding": (
        xml(2).replace("utf-8", "klingon"),
        f"2.xml: found broken XML; expected a complete report; {ORIGINAL}",
    ),
    "an entity bomb": (BOMB, f"2.xml: found a document type with entities of its own; expected plain XML; {ORIGINAL}"),
    "an outer entity": (
        FETCH,
        f"2.xml: found a document type with entities of its own; expected plain XML; {ORIGINAL}",
    ),
    "no uid": ("<eCitation/>", f"2.xml: found no uId; expected a report of the collection; {ORIGINAL}"),
    "another patient's film": (
        xml(2, ids=["CXR2_IM-0001-1001", "CXR12_IM-0001-2001"]),
        "2.xml: found CXR12_IM-0001-2001 under uid 2; expected films of patient 2; correct the uid or the file name",
    ),
    "a uid twice": (xml(1), "2.xml: found uid 1 again (first: 1.xml); expected one report a uid; drop one of them"),
    "a link": (LINK, "2.xml: found a link or device; expected a report; use the original archive"),
    "a huge report": (
        xml(2, findings="a" * 1_000_000),
        "2.xml: found 1,000,520 bytes; expected a report of at most 1 MB; use the original archive",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_REPORTS.values(), ids=BAD_REPORTS)
def test_a_bad_report_is_told_and_the_others_are_read(tmp_path, content, message):
    archive, problems = write_tgz(tmp_path / "r.tgz", {"1.xml": xml(1), "2.xml": content, "3.xml": xml(3)}), []
    assert [study.uid for study in read_archive(archive, problems)] == ["1", "3"]
    assert problems == [message]
    with pytest.raises(InputError) as caught:
        list(read_archive(archive))
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["../../2.xml", "/etc/2.xml"])
def test_a_hostile_name_is_told(tmp_path, name):
    archive, problems = write_tgz(tmp_path / "r.tgz", {name: xml(2), "3.xml": xml(3)}), []
    assert [study.uid for study in read_archive(archive, problems)] == ["3"]
    assert problems == [
        "2.xml: found a path that leaves the archive; expected a report inside it; use the original archive"
    ]


# --- what cannot be read at all ---

FORMS = "a folder of XML, NLMCXR_reports.tgz, or the torchxrayvision wheel that holds it"
PROJECTIONS = "columns uid, filename, projection"


def cut(folder: Path) -> Path:
    path = write_tgz(folder / "r.tgz", {"1.xml": xml(1)})
    path.write_bytes(path.read_bytes()[:-20])
    return path


def zipped(folder: Path, name: str) -> Path:
    with zipfile.ZipFile(folder / "x.whl", "w") as wheel:
        wheel.writestr(name, b"")
    return folder / "x.whl"


def bytes_of(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def twice(folder: Path) -> list:
    for name in ("CXR1_IM-0001-1001.png", "1_IM-0001-1001.jpg"):
        film(0).save(folder / name)
    return list(read_openi(write_tgz(folder / "r.tgz", {"1.xml": xml(1)}), folder))


WRONG = {
    "a table without a column": (
        lambda f: read_kaggle(f / "r.csv", write_csv(f / "p.csv", [("uid", "filename"), (1, "a.png")]), []),
        f"p.csv: found columns uid, filename; expected {PROJECTIONS}; name the column 'projection'",
    ),
    "reports without a column": (
        lambda f: read_kaggle(
            write_csv(f / "r.csv", [("uid", "MeSH", "findings"), (1, "normal", "Clear.")]),
            write_csv(f / "p.csv", [("uid", "filename", "projection"), (1, "a.png", "Frontal")]),
            [],
        ),
        "r.csv: found columns uid, MeSH, findings; expected columns uid, MeSH, Problems, indication, comparison, "
        "findings, impression; name the column 'Problems'",
    ),
    "a table without rows": (
        lambda f: read_kaggle(f / "r.csv", write_csv(f / "p.csv", [("uid", "filename", "projection")]), []),
        f"p.csv: found no rows; expected {PROJECTIONS}; name the column 'uid'",
    ),
    "a table of another kind": (
        lambda f: read_kaggle(f / "r.csv", f / "p.xlsx", []),
        "p.xlsx: found a '.xlsx' file; expected a .csv; convert it",
    ),
    "views without columns": (
        lambda f: read_views(write_csv(f / "v.csv", [("imageid", "position"), ("a", "PA")])),
        "v.csv: found columns imageid, position; expected a column filename or imageid, and a column projection or "
        "View Position; name the columns so",
    ),
    "an unknown view in a table": (
        lambda f: read_views(write_csv(f / "v.csv", [("imageid", "View Position"), ("a", "side")])),
        f"v.csv, row 1: found View Position 'side'; {VIEW}",
    ),
    "no source": (
        lambda f: list(read_archive(f / "gone.tgz")),
        f"gone.tgz: found no such file or folder; expected {FORMS}; check the path",
    ),
    "an empty folder": (
        lambda f: list(read_archive(f)),
        f"FOLDER: found a folder without .xml; expected {FORMS}; name the folder of the reports",
    ),
    "a cut archive": (
        lambda f: list(read_archive(cut(f))),
        "r.tgz: found a damaged or truncated archive; expected a complete one; download it again",
    ),
    "another kind of file": (
        lambda f: list(read_archive(bytes_of(f / "r.tgz", b"reports"))),
        f"r.tgz: found neither gzip nor ZIP; expected {FORMS}; name another archive",
    ),
    "gzip without tar": (
        lambda f: list(read_archive(bytes_of(f / "r.tgz", gzip.compress(b"reports" * 100)))),
        f"r.tgz: found a gzip file that holds no tar; expected {FORMS}; name another archive",
    ),
    "another wheel": (
        lambda f: list(read_archive(zipped(f, "other.tgz"))),
        f"x.whl: found a ZIP without NLMCXR_reports.tgz; expected {FORMS}; name another archive",
    ),
    "a damaged wheel": (
        lambda f: list(read_archive(bytes_of(f / "x.whl", zipped(f, "NLMCXR_reports.tgz").read_bytes()[:40]))),
        "x.whl: found a damaged ZIP archive; expected a complete one; download it again",
    ),
    "two files of one film": (
        twice,
        "FOLDER: found 1_IM-0001-1001.jpg and CXR1_IM-0001-1001.png; expected one file a film"
        "; name a folder with one kind of files",
    ),
    "both forms": (
        lambda f: Sources(reports_csv=f, projections_csv=f, xml=f),
        "sources: found `reports_csv` with `projections_csv` with `xml`; expected `reports_csv` with "
        "`projections_csv`, or `xml` with or without `views`; give one of the two forms",
    ),
    "half a form": (
        lambda f: Sources(reports_csv=f),
        "sources: found `reports_csv`; expected `reports_csv` with `projections_csv`, or `xml` with or without "
        "`views`; give one of the two forms",
    ),
}


@pytest.mark.parametrize(("act", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_read_is_refused(tmp_path, act, message):
    with pytest.raises(InputError) as caught:
        act(tmp_path)
    assert str(caught.value).replace(tmp_path.name, "FOLDER") == message


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_medreport.dataset_scripts.parts.iu_xray_sources.MAX_ARCHIVE_BYTES", 1000)
    with pytest.raises(InputError) as caught:
        list(read_archive(write_tgz(tmp_path / "r.tgz", {"1.xml": xml(1)})))
    assert str(caught.value) == (
        "r.tgz: found more than 256 MB unpacked; expected NLMCXR_reports.tgz (23 MB); download it again"
    )
