"""The memorization gate of folders of pictures of any size."""

import json

import numpy as np
import pytest
from PIL import Image

from hf_medreport.evaluation.pictures.folder_gate import gate_of_folders
from hf_medreport.evaluation.pictures.memorization import disguised
from hf_medreport.processing.input_error import InputError
from tests.cli.test_cli import run
from tests.evaluation.pictures.made import drawn


def written(folder, images, modalities):
    """As files of 128 px, which are made 64 px again without loss."""
    for number, (image, modality) in enumerate(zip(images, modalities, strict=True)):
        (folder / modality).mkdir(parents=True, exist_ok=True)
        large = Image.fromarray(image).resize((128, 128), Image.Resampling.NEAREST)
        large.save(folder / modality / f"{number:03d}.png")
    return folder


def at_64_px(images):
    return np.stack([np.asarray(Image.fromarray(image).resize((64, 64))) for image in images])


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for name, seed in (("training", 30), ("held_out", 31), ("new", 32)):
        written(root / name, drawn(100, seed).images, drawn(100, seed).modalities)
    written(root / "copied", disguised(at_64_px(drawn(100, 30).images[:60])), drawn(100, 30).modalities[:60])
    return root


def test_copies_fail_and_other_patients_do_not(sets):
    new = gate_of_folders(sets / "new", sets / "training", sets / "held_out", per_modality=True)
    copied = gate_of_folders(sets / "copied", sets / "training", sets / "held_out", per_modality=True)
    assert copied["passes"] is False and copied["share"] > 0.5 and new["share"] < 0.05
    nearest = copied["closest"][0]
    assert nearest["picture"] == nearest["training"]  # files of one name: what it was copied from
    assert set(new["thresholds"]) == {"mri", "oct"}
    assert set(gate_of_folders(sets / "new", sets / "training", sets / "held_out")["thresholds"]) == {"all"}


@pytest.mark.slow
def test_the_verb_prints_it_and_keeps_it(sets, tmp_path, capsys):
    flags = ["--real", sets / "held_out", "--fake", sets / "copied", "--training", sets / "training"]
    code, out, _ = run(capsys, "evaluate", "images", *flags, "--per-modality", "--out", tmp_path / "out")
    assert code == 0 and "memorization gate: FAILED" in out and "positive control" in out
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["gate"] == gate_of_folders(sets / "copied", sets / "training", sets / "held_out", per_modality=True)


def test_bad_files(sets, tmp_path):
    for name in ("new", "training"):
        other = written(tmp_path / name, drawn(100, 32).images[:40], drawn(100, 32).modalities[:40])
        (other / "mri" / "notes.png").write_text("no picture")
    assert gate_of_folders(tmp_path / "new", sets / "training", sets / "held_out")["n"] == 40
    with pytest.raises(InputError, match="notes.png"):
        gate_of_folders(sets / "new", tmp_path / "training", sets / "held_out")
    with pytest.raises(InputError, match="training: found no folder 'gone'"):
        gate_of_folders(sets / "new", tmp_path / "gone", sets / "held_out")
    few = written(tmp_path / "few", drawn(100, 31).images[:8], drawn(100, 31).modalities[:8])
    with pytest.raises(InputError, match="at least 20"):
        gate_of_folders(sets / "new", sets / "training", few)
