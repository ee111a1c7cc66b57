"""A generator that is scored: drawn pictures reach the ceiling, noise does not, and a run goes on behind a kill."""

import json

import numpy as np
import pytest
from PIL import Image

from hf_medreport.evaluation.images.features import Extractor
from hf_medreport.evaluation.pictures import evaluate, folder
from hf_medreport.evaluation.pictures.card_rows import card_rows
from hf_medreport.evaluation.pictures.evaluate import Drawing, decoded_by, pictures_table, score_pictures
from hf_medreport.evaluation.pictures.folder import evaluate_into
from hf_medreport.evaluation.pictures.sweep import guidance_sweep, sweep_plot, sweep_table
from hf_medreport.hub.folder import save_folder
from hf_medreport.hub.memorization_gate import check_gate
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import systems
from tests.diffusion import BERT, tiny_conditioner, tiny_pipeline
from tests.evaluation.pictures.made import drawn, judge, shuffled_pixels
from tests.tiny import tiny_processor

FIVE = [{"name": name} for name in ("cxr", "ct", "mri", "oct", "fundus")]
ROW = next(row for row in systems() if row.kind == "judge")


def generator():
    """Random, of 16 px, for prompts of any length."""
    pipe = tiny_pipeline()
    text = {**BERT, "model_type": "bert", "max_position_embeddings": 160}
    conditioner = tiny_conditioner(text_config=text, modalities=FIVE, max_length=160)
    pipe.register_modules(text_encoder=conditioner)
    return pipe


@pytest.fixture(scope="module")
def judge_folder(tmp_path_factory):
    return save_folder(judge().model, tiny_processor(ROW), tmp_path_factory.mktemp("judges") / "judge")


def test_scores_of_drawn_pictures_are_those_of_the_ceiling():
    words = Extractor(
        "made up", lambda pictures: (np.ones((len(pictures), 2)), None), lambda texts: np.ones((len(texts), 2))
    )
    training = drawn(60, 30)
    options = {"words": words, "training": (training.images, training.modalities)}
    scores = score_pictures(drawn().images, drawn(), judge(), **options)
    assert scores["faithfulness"]["modality"]["of_ceiling"] in (1.0, None)
    assert scores["distribution"]["all"]["fid"] == pytest.approx(0, abs=1e-6)
    assert scores["clip"]["score"] == scores["clip"]["drawn"] == pytest.approx(100)
    assert scores["gate"]["suspect"] <= 1 and scores["ceiling"] == "drawn pictures"
    json.dumps(scores)
    noise = score_pictures(shuffled_pixels(drawn().images), drawn(), judge())
    assert noise["distribution"]["all"]["kid"] > scores["distribution"]["all"]["kid"]
    assert noise["clip"] is None and noise["gate"] is None
    shown = pictures_table(noise | {"seed": 1})
    assert "not run: no training pictures" in shown and "judge features" in shown and "a tiny one" in shown
    assert "CLIP score 100.0" in pictures_table(scores) and "positive control" in pictures_table(scores)
    rows = card_rows(scores | {"seed": 1, "split": "test", "drawing": {"guidance_scale": 3, "num_inference_steps": 2}})
    assert rows["memorization gate"] in ("passed", "**failed**") and "of the ceiling" in rows["asked and seen: grade"]
    assert rows["pictures asked for"] == "40 (seed 1, test)"
    assert any(name.startswith("KID (judge features, not Inception's), mri") for name in rows)


def test_other_counts_are_refused():
    with pytest.raises(InputError, match="pictures: found 39 x 32 x 32 x 3; expected 40 x 32 x 32 x 3"):
        score_pictures(drawn().images[:39], drawn(), judge())


def test_a_generator_is_asked_in_batches_with_seeds_and_modalities():
    pipe, prompts, modalities = generator(), drawn().prompts[:5], drawn().modalities[:5]
    whole = Drawing(2.0, 2, 5)(pipe, prompts, modalities, 32, seed=7)
    parts = Drawing(2.0, 2, 2)(pipe, prompts, modalities, 32, seed=7)
    assert whole.shape == (5, 32, 32, 3) and whole.dtype == np.uint8
    assert np.abs(whole.astype(int) - parts).max() <= 1
    assert not np.array_equal(whole, Drawing(2.0, 2, 5)(pipe, prompts, modalities, 32, seed=8))
    pixels = decoded_by(pipe, drawn().images[:3], drawn().modalities[:3])
    assert pixels.shape == (3, 32, 32, 3) and np.abs(pixels.astype(int) - drawn().images[:3]).mean() < 60


def test_a_folder_of_scores_goes_on_behind_a_kill(judge_folder, tmp_path, monkeypatch):
    training = tmp_path / "training"
    training.mkdir()
    rows = []
    for number, (image, name) in enumerate(zip(drawn(60, 30).images, drawn(60, 30).modalities, strict=True)):
        Image.fromarray(image).save(training / f"{number}.png")
        rows.append(json.dumps({"file_name": f"{number}.png", "modality": name}))
    (training / "metadata.jsonl").write_text("\n".join(rows) + "\n")
    pipe = generator()
    monkeypatch.setattr(folder, "load_generator", lambda *args, **kwargs: pipe)
    # 20 held-out pictures of each of two modalities are the fewest that the gate takes
    asked = {"n": 40, "modalities": ["mri", "oct"], "judge": str(judge_folder), "training": str(training)}
    draw = Drawing(2.0, 2, 20)

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "decoded_by", killed)
    with pytest.raises(KeyboardInterrupt) as stop:
        evaluate_into("gen", tmp_path / "out", drawing=draw, device="cpu", **asked)
    assert stop.value.__notes__ == ["interrupted: 40 done, 0 failed, 0 left; `resume` goes on"]
    monkeypatch.setattr(evaluate, "decoded_by", decoded_by)
    monkeypatch.setattr(type(pipe), "__call__", killed)  # what was drawn is not drawn again
    scores = evaluate_into("gen", tmp_path / "out", drawing=draw, device="cpu", resume=True, **asked)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == scores
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 40 and (tmp_path / "out" / "sheet.png").is_file()
    with Image.open(tmp_path / "out" / "pictures" / "00003.png") as picture:
        assert picture.text["synthetic"] == "true" and picture.text["seed"] == "4"
    assert scores["model"] == "gen" and scores["gate"]["n_training"] == 60 and scores["split"] == "test"
    if scores["gate"]["passes"]:
        check_gate(tmp_path / "out")


def test_guidance_is_compared_on_the_same_prompts(judge_folder, tmp_path):
    sweep = guidance_sweep(generator(), [1, 4], n=10, judge=judge_folder, drawing=Drawing(1, 2, 10), device="cpu")
    assert [row["guidance_scale"] for row in sweep["scales"]] == [1.0, 4.0]
    assert sweep["scales"][0]["faithfulness"]["modality"]["n"] == 10 and 0 <= sweep["scales"][0]["diversity"] <= 1
    sweep_plot(sweep, tmp_path / "guidance.png")
    with Image.open(tmp_path / "guidance.png") as plot:
        assert plot.format == "PNG"
    assert [line.split()[0] for line in sweep_table(sweep).splitlines()] == ["guidance", "1", "4"]
    for scales in ([], [-1.0], [float("nan")]):
        with pytest.raises(InputError, match="scales: found"):
            guidance_sweep(None, scales)
