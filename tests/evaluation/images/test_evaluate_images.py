"""Two folders: scores, notes, failures."""

import json

import numpy as np
import pytest
from PIL import Image

from hf_medreport.evaluation.images.distribution import frechet_distance, kernel_distance
from hf_medreport.evaluation.images.evaluate import evaluate_images, images_table
from hf_medreport.evaluation.images.features import grid_statistics, load_extractor
from hf_medreport.evaluation.images.pixels import ms_ssim, mse, psnr, ssim
from hf_medreport.evaluation.images.quality import contrast
from hf_medreport.processing.input_error import InputError
from tests.evaluation.images.models import save_classifier, save_clip
from tests.processing.dicom_files import write_dicom


def picture(seed: int, side: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def write(folder, **pictures: np.ndarray):
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def write_folders(folder):
    """Five real and five fake pictures; a, b and c stand in both, c as it is."""
    real = write(folder / "real", **{name: picture(seed) for seed, name in enumerate("abcde")})
    fakes = {name: picture(10 + seed) for seed, name in enumerate("ab")} | {"c": picture(2)}
    return real, write(folder / "fake", **fakes, x=picture(20), y=picture(21))


@pytest.fixture
def folders(tmp_path):
    return write_folders(tmp_path)


def test_scores_are_those_of_the_metrics(folders):
    scores = evaluate_images(*folders, seed=3)
    everything, pairs = scores["all"], [(picture(0) / 255, picture(10) / 255), (picture(1) / 255, picture(11) / 255)]
    assert [everything[name] for name in ("n_real", "n_fake", "n_pairs", "equal_pairs")] == [5, 5, 3, 1]
    assert everything["mse"] == pytest.approx(np.mean([mse(*pair) for pair in pairs] + [0]), rel=1e-5)
    assert everything["psnr"] == pytest.approx(np.mean([psnr(*pair) for pair in pairs]), rel=1e-5)  # not of c
    assert everything["ssim"] == pytest.approx(np.mean([ssim(*pair) for pair in pairs] + [1]), rel=1e-5)
    assert everything["ms_ssim"] == pytest.approx(np.mean([ms_ssim(*pair) for pair in pairs] + [1]), rel=1e-5)
    real, _ = grid_statistics([picture(seed).astype(np.float32) / 255 for seed in range(5)])
    fake, _ = grid_statistics([picture(seed).astype(np.float32) / 255 for seed in (10, 11, 2, 20, 21)])
    assert everything["fid"] == pytest.approx(frechet_distance(real, fake))
    kid = everything["kid"], everything["kid_std"], everything["kid_subset_size"]
    assert kid == pytest.approx(kernel_distance(real, fake, seed=3))
    expected = np.mean([contrast(picture(seed) / 255) for seed in range(5)])
    assert everything["contrast_real"] == pytest.approx(expected, rel=1e-5)
    assert everything["notes"] == {
        "inception_score": "features without class probabilities; needs a classifier as `features`",
        "clip_score": "features of a model that reads no text; needs a CLIP-like model as `features`",
    }
    assert [row["real"] for row in scores["pairs"]] == ["a.png", "b.png", "c.png"]
    assert scores["pairs"][2]["psnr"] is None and scores["pairs"][2]["ms_ssim_scales"] == 2
    assert scores["failures"] == [] and scores["features"] == load_extractor().name
    assert scores["warnings"] == [
        "all: FID from 5 real and 5 fake pictures for 96 features: covariances of such sets are singular and FID is "
        "mostly bias; use KID"
    ]
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert evaluate_images(*folders, seed=3, batch_size=2) == scores


def test_a_set_against_itself(folders):
    scores = evaluate_images(folders[0], folders[0])["all"]
    assert (scores["mse"], scores["psnr"], scores["equal_pairs"]) == (0, None, 5)
    assert scores["ssim"] == pytest.approx(1) and scores["fid"] == pytest.approx(0, abs=1e-6)
    assert scores["notes"]["psnr"] == "infinite for each pair; needs a pair that differs"


def test_unpaired_folders_have_no_pair_scores(tmp_path):
    real, fake = write(tmp_path / "real", a=picture(0)), write(tmp_path / "fake", b=picture(1, side=32))
    scores = evaluate_images(real, fake)["all"]
    assert scores["ssim"] is None and scores["fid"] is None and scores["kid"] is None
    assert scores["notes"] == {
        **dict.fromkeys(("mse", "psnr", "ssim", "ms_ssim"), "no pair; needs at least one pair"),
        "fid": "1 in a set; needs at least 2",
        "kid": "1 in a set; needs at least 4",
        "inception_score": "features without class probabilities; needs a classifier as `features`",
        "clip_score": "features of a model that reads no text; needs a CLIP-like model as `features`",
        "diversity_real": "1 in the set; needs at least 2, to make a pair",
        "diversity_fake": "1 in the set; needs at least 2, to make a pair",
    }


def test_modalities_are_scored_alone(tmp_path):
    for label, start in (("real", 0), ("fake", 50)):
        for place, name in enumerate(("ct", "mr")):
            pictures = {f"p{seed}": picture(start + 10 * place + seed) for seed in range(4)}
            write(tmp_path / label / name, **pictures)
    write(tmp_path / "real" / "oct", p0=picture(99))
    scores = evaluate_images(tmp_path / "real", tmp_path / "fake", per_modality=True)
    assert list(scores["modalities"]) == ["ct", "mr", "oct"]
    for name in ("ct", "mr"):
        alone = evaluate_images(tmp_path / "real" / name, tmp_path / "fake" / name)["all"]
        assert scores["modalities"][name] == alone
    assert scores["all"]["n_pairs"] == 8 and scores["modalities"]["oct"]["n_fake"] == 0
    assert scores["modalities"]["oct"]["notes"]["snr_fake"] == "no picture; needs at least one picture"
    lines = images_table(scores).splitlines()
    assert lines[0].split() == ["all", "ct", "mr", "oct"]
    assert "oct: no mse, psnr, ssim, ms_ssim: no pair; needs at least one pair" in lines


def test_pictures_outside_of_modalities(folders):
    with pytest.raises(InputError) as error:
        evaluate_images(*folders, per_modality=True)
    assert str(error.value) == (
        "per_modality: found 5 of the files of `real` in no subfolder (a.png); expected one subfolder a modality; "
        "sort them, or leave it out"
    )


def test_bad_pictures_are_listed_and_the_others_scored(folders):
    real, fake = folders
    whole = evaluate_images(real, fake)["all"]
    (real / "d_broken.png").write_bytes((real / "d.png").read_bytes()[:200])
    (fake / "notes.txt").write_text("hello")
    write(real, size=picture(30), kind=picture(31))
    write(fake, size=picture(30, side=32), kind=np.stack([picture(31), picture(32), picture(33)], axis=-1))
    Image.fromarray(picture(0)).save(fake / "a.tif")
    scores = evaluate_images(real, fake)
    assert [(row["folder"], row["file"]) for row in scores["failures"]] == [
        ("real", "d_broken.png"),
        ("fake", "notes.txt"),
        ("fake", "a"),
        ("both", "kind.png"),
        ("both", "size.png"),
    ]
    assert [row["message"] for row in scores["failures"]] == [
        "d_broken.png: found a truncated PNG; expected a complete image; copy or export the file again",
        "notes.txt: found text; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG",
        "a: found 2 pictures of this name (a.png, a.tif); expected one, to make a pair; rename or remove the others",
        "kind.png: found a gray and a color picture; expected two of one kind; convert one set first",
        "size.png: found 24 x 24 and 32 x 32 px; expected two pictures of one size; "
        "resize one set first, and say how in your report",
    ]
    assert (scores["all"]["n_real"], scores["all"]["n_fake"], scores["all"]["n_pairs"]) == (7, 8, 2)
    assert whole["n_pairs"] == 3
    assert scores["all"]["notes"]["diversity_fake"] == "a gray and a color picture; needs two of one kind"


def test_a_folder_without_a_readable_picture(folders, tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.png").write_text("hello")
    with pytest.raises(InputError) as error:
        evaluate_images(folders[0], tmp_path / "text")
    assert str(error.value) == (
        "fake: found no readable picture among 1 file (the first: a.png: found text; expected PNG, JPEG, TIFF or "
        "DICOM; give the image itself or convert it to PNG); expected a folder of pictures; check the folder"
    )


def test_deep_pictures_beside_8_bit_ones_are_said(folders):
    real, _ = folders
    deep = picture(0).astype(np.uint16) * 100 + np.arange(24, dtype=np.uint16)
    write_dicom(real / "film.dcm", deep)
    Image.fromarray(deep).save(real / "deep.png")
    warnings = evaluate_images(*folders)["warnings"]
    assert warnings[1:] == [
        "2 of 7 real pictures have more than 8 bits and are shown in their own range or window, the others as they "
        "are: brightness and contrast of the two sets may not compare"
    ]


def test_a_classifier_gives_an_inception_score(folders, tmp_path):
    scores = evaluate_images(*folders, features=save_classifier(tmp_path / "net"), device="cpu")["all"]
    assert 1 <= scores["inception_score"] <= 3 and scores["inception_score_splits"] == 1
    assert "inception_score" not in scores["notes"]


def test_a_clip_like_model_scores_captions(folders, tmp_path):
    real, fake = folders
    clip = save_clip(tmp_path / "clip")
    note = "no captioned picture; needs a metadata.jsonl or metadata.csv in `fake`"
    assert evaluate_images(real, fake, features=clip, device="cpu")["all"]["notes"]["clip_score"] == note
    (fake / "metadata.csv").write_text("file_name,text\na.png,clear lungs\nx.png,left effusion\ngone.png,clear\n")
    scores = evaluate_images(real, fake, features=clip, device="cpu", batch_size=1)
    extractor = load_extractor(clip, "cpu")
    images, _ = extractor.images([picture(seed).astype(np.float32) / 255 for seed in (10, 20)])
    texts = extractor.texts(["clear lungs", "left effusion"])
    cosines = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(images, texts, strict=True)]
    assert scores["all"]["clip_score"] == pytest.approx(np.mean([100 * max(c, 0) for c in cosines]), abs=1e-3)
    assert scores["all"]["n_captions"] == 2
    assert [row["message"] for row in scores["failures"]] == [
        "metadata.csv, line 4: found 'gone.png', which is no readable picture here; expected a picture of this folder; "
        "correct or remove the line"
    ]
