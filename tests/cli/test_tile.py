"""`hf-medreport tile`: what it writes, prints and refuses."""

import json

import pytest
from PIL import Image

from hf_medreport.processing.feature_files import read_features
from tests.cli.test_cli import run
from tests.inference.tiles.tiny_slides import contents, save_encoder, tissue, write_cohort
from tests.processing.slide_files import write_slide_dicom
from tests.systems.histgen.test_convert_dinov2 import save_checkpoint

TINY = ("--patch-px", 64, "--tissue", "otsu", "--batch-size", 8, "--workers", 2)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verb")
    write_cohort(folder / "slides", 2)
    return folder / "slides", save_encoder(folder / "encoder")


def tile(capsys, *arguments) -> tuple[int, str, str]:
    return run(capsys, "tile", *arguments)


def test_a_folder_of_slides(capsys, cohort, tmp_path):
    slides, encoder = cohort
    code, out, err = tile(capsys, slides, "--encoder", encoder, *TINY, "--out", tmp_path / "out")
    assert code == 0 and err == "2 done, 0 failed, 0 left\n" and "slide0.tiff" in out and "done" in out
    names = ["slide0.safetensors", "slide0_tiles.png", "slide1.safetensors", "slide1_tiles.png"]
    assert sorted(contents(tmp_path / "out")) == names
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [(slide["slide"], slide["state"]) for slide in summary["slides"]] == [
        ("slide0.tiff", "done"),
        ("slide1.tiff", "done"),
    ]


def test_json_and_every_flag(capsys, cohort, tmp_path):
    slides, encoder = cohort
    flags = ["--mpp", 1, "--overlap", 8, "--slide-mpp", 0.5, "--dtype", "bf16", "--device", "cpu", "--no-overlay"]
    slide = slides / "slide0.tiff"
    code, out, err = tile(capsys, slide, "--encoder", encoder, *TINY, *flags, "--out", tmp_path / "out", "--json")
    summary = json.loads(out)
    bag = read_features(tmp_path / "out" / "slide0.safetensors")
    assert code == 0 and summary["failures"] == 0 and summary["slides"][0]["tiles"] == len(bag.features)
    expected = {"cut_at": "mpp 1", "overlap_px": "8", "slide_mpp": "", "dtype": "bfloat16", "level0_px": "128"}
    assert expected.items() <= bag.info.items()
    assert list(contents(tmp_path / "out")) == ["slide0.safetensors"]


def test_resolutions_of_a_table_and_over_the_slides_own(capsys, cohort, tmp_path):
    slides, encoder = cohort
    (tmp_path / "mpp.csv").write_text("slide;mpp\nslide0;0.25\n")
    flags = ["--encoder", encoder, *TINY, "--no-overlay", "--json", "--slide-mpp-csv", tmp_path / "mpp.csv"]
    code, out, err = tile(capsys, slides / "slide0.tiff", *flags, "--override-slide-mpp", "--out", tmp_path / "out")
    told = "0.5 microns per px of its header replaced by 0.25 (0.5 times)"
    assert code == 0 and json.loads(out)["slides"][0]["notes"] == [told] and f"slide0.tiff: {told}\n" in err
    info = read_features(tmp_path / "out" / "slide0.safetensors").info
    assert (info["slide_mpp"], info["mpp"], info["cut_at"]) == ("0.25", "0.25", "level 0")


def test_a_bad_slide_is_told_and_the_other_done(capsys, cohort, tmp_path):
    slides, encoder = cohort
    (tmp_path / "note.svs").write_text("grade 2")
    sources = [tmp_path / "note.svs", slides / "slide1.tiff"]
    code, out, err = tile(capsys, *sources, "--encoder", encoder, *TINY, "--out", tmp_path / "out", "--json")
    summary = json.loads(out)
    message, progress = err.splitlines()
    assert code == 1 and message.startswith("note.svs: found text; ") and progress == "1 done, 1 failed, 0 left"
    assert [slide["state"] for slide in summary["slides"]] == ["failed", "done"]
    names = [slide["id"].rsplit("/")[-1] for slide in summary["slides"]]
    assert names == ["note.svs", "slide1.tiff"] and summary["slides"][1]["id"].endswith("slides/slide1.tiff")
    assert summary["slides"][0]["message"] == message


BAD = {
    "dtype": (("--dtype", "fp16"), "--dtype: found 'fp16'; expected fp32 or bf16; choose one of them"),
    "device": (("--device", "abacus"), "--device: found 'abacus'; expected a device of this machine; try cpu"),
    "patch": (
        ("--patch-px", 8),
        "--patch-px: found 8; expected a whole number from 16 to 16384; 512 is the original's",
    ),
    "tissue": (("--tissue", "skin"), "--tissue: found 'skin'; expected tcga, otsu, otsu-keep-ink; choose one of them"),
    "encoder": (("--encoder", "absent"), "absent: found no such folder; expected a folder or ORG/NAME; check the path"),
}


@pytest.mark.parametrize(("flags", "message"), BAD.values(), ids=BAD)
def test_wrong_arguments(capsys, cohort, tmp_path, flags, message):
    slides, encoder = cohort
    code, out, err = tile(capsys, slides, "--encoder", encoder, *flags, "--out", tmp_path / "out")
    assert (code, out, err) == (2, "", message + "\n")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_converted_dinov2_encodes_tiles(capsys, cohort, tmp_path):
    checkpoint = save_checkpoint(tmp_path / "dinov2.pth")
    run(capsys, "convert", "dinov2", checkpoint, "--num-heads", 3, "--out", tmp_path / "encoder")
    code, out, err = tile(
        capsys, cohort[0], "--encoder", tmp_path / "encoder", *TINY, "--out", tmp_path / "out", "--json"
    )
    assert code == 0
    bag = read_features(tmp_path / "out" / "slide0.safetensors", width=24)
    assert bag.info["input_px"] == "42" and bag.info["encoder"] == "encoder"


def test_what_is_left_out_is_told_and_counted(capsys, cohort, tmp_path):
    slides, encoder = cohort
    for name in ("one.czi", "two.czi", "three.czi", "four.qptiff", "deeper/slide0.tiff"):
        (tmp_path / "mixed" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mixed" / name).hardlink_to(slides / "slide0.tiff")
    (tmp_path / "mixed" / "slide0.tiff").hardlink_to(slides / "slide0.tiff")
    options = ("--encoder", encoder, *TINY, "--no-overlay", "--out", tmp_path / "out")
    code, out, err = tile(capsys, tmp_path / "mixed", *options)
    assert code == 0 and out.splitlines()[-2:] == [
        "left out: 1, a subfolder, which --recursive reads: deeper",
        "left out: 4, of a kind that nothing here reads: four.qptiff, one.czi, three.czi, ...",
    ]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["left_out"] == 5 and summary["left_out_files"][1]["id"] == "four.qptiff"
    code, out, err = tile(capsys, tmp_path / "mixed", *options, "--recursive", "--resume", "--verify", "--json")
    summary = json.loads(out)
    states = {slide["id"]: slide["state"] for slide in summary["slides"]}
    assert states == {"slide0.tiff": "kept", "deeper/slide0.tiff": "done"} and summary["left_out"] == 4
    assert list(contents(tmp_path / "out")) == ["deeper_slide0.safetensors", "slide0.safetensors"]


def test_a_label_alone_is_refused(capsys, cohort, tmp_path):
    label = write_slide_dicom(tmp_path / "a.dcm", tissue(0), 64, ImageType=["ORIGINAL", "PRIMARY", "LABEL", "NONE"])
    code, out, err = tile(capsys, label, "--encoder", cohort[1], *TINY, "--out", tmp_path / "out", "--json")
    assert code == 1 and err.startswith("a.dcm: found a label, no slide; ") and not contents(tmp_path / "out")


def test_what_a_large_picture_takes_is_said_before_the_work(capsys, cohort, tmp_path, monkeypatch):
    _, encoder = cohort
    Image.new("RGB", (640, 480), "pink").save(tmp_path / "large.png")
    flags = (tmp_path / "large.png", "--encoder", encoder, *TINY, "--slide-mpp", 1, "--no-overlay", "--out")
    assert "held whole" not in tile(capsys, *flags, tmp_path / "one")[2]
    monkeypatch.setattr("hf_medreport.cli.tile.WORTH_TELLING", 2**20)
    expected = f"untiled pictures are held whole: at most {2 * 3 * 640 * 480 >> 20} MiB"
    assert tile(capsys, *flags, tmp_path / "two")[2].startswith(expected)
