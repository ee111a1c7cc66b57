"""Reconstructions and classifications on the phantom: one model knows the truth, one is blind, a tiny one is real."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hf_medreport.evaluation.phantom import films as phantom
from hf_medreport.evaluation.phantom.tasks import VIEWS, evaluate_multitask, tasks_table
from hf_medreport.inference.loading import load
from hf_medreport.modeling.modeling_cxr_multitask import CxrMultitaskOutput
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from tests.cli.test_cli import run
from tests.tiny import save_tiny

SIZE, N = 48, 12


def corpus(n=N, **options):
    return ChestCorpus(n=n, **{"seed": 1, "size": SIZE, "split": "test", "lateral": True} | options)


def scaled(film: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(film).float().expand(3, -1, -1) / 255


class Pipe:
    """A pipeline whose model knows the classification of every frontal film, but has no idea of a lateral one alone."""

    device = torch.device("cpu")

    def __init__(self, draw=lambda film: film, model_type="cxr_multitask", sure=8.0):
        self.draw, self.sure = draw, sure
        self.processor = SimpleNamespace(image_processor=SimpleNamespace(size=SIZE))
        cases = [corpus()[index] for index in range(N)]
        self.abnormal = {scaled(case.image).numpy().tobytes(): bool(case.facts) for case in cases}
        self.model = Model(self, SimpleNamespace(name_or_path="stub", model_type=model_type))

    def preprocess(self, cases):
        films = {name: torch.stack([scaled(case[name]) for case in cases]) for name in VIEWS}
        return {"pixel_values": films["frontal"], "lateral_pixel_values": films["lateral"]}


class Model:
    def __init__(self, pipe, config):
        self.pipe, self.config = pipe, config

    def __call__(self, pixel_values=None, lateral_pixel_values=None, reconstruct=True):
        if pixel_values is None:
            return CxrMultitaskOutput(abnormal_logits=torch.zeros(len(lateral_pixel_values)))
        abnormal = [self.pipe.abnormal[film.numpy().tobytes()] for film in pixel_values]
        output = CxrMultitaskOutput(abnormal_logits=self.pipe.sure * (2 * torch.tensor(abnormal).float() - 1))
        if reconstruct:
            for view, films in zip(VIEWS, (pixel_values, lateral_pixel_values), strict=True):
                output[f"{view}_target"], output[f"{view}_reconstruction"] = films, self.pipe.draw(films)
        return output


def evaluate(pipe, **options):
    return evaluate_multitask(pipe, **{"n": N, "progress": False} | options)


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_a_model_that_knows_the_truth_is_perfect(batch_size):
    tasks = evaluate(Pipe(), batch_size=batch_size)
    for view in VIEWS:
        assert tasks[view]["ssim"] == pytest.approx(1) and tasks[view]["mse"] == 0
        assert tasks[view]["intervals"] == {"ssim": pytest.approx([1, 1]), "mse": [0, 0]}
    classification, abnormal = tasks["classification"], sum(Pipe().abnormal.values()) / N
    assert classification["accuracy"] == classification["sensitivity"] == classification["specificity"] == 1
    assert classification["auc"] == pytest.approx(1) and classification["frontal_alone"]["accuracy"] == 1
    wrong = 1 / (1 + np.exp(8))  # the probability that it leaves to the other class
    assert classification["brier"] == pytest.approx(wrong**2, rel=1e-3)
    assert classification["calibration_error"] == pytest.approx(wrong, rel=1e-3)
    assert 0.2 < classification["prevalence"] == abnormal < 0.8  # natural, so neither rare nor most
    assert classification["majority"]["accuracy"] == max(abnormal, 1 - abnormal)
    # 0.5 calls every case abnormal, and ranks none
    assert classification["lateral_alone"]["accuracy"] == abnormal and classification["lateral_alone"]["auc"] == 0.5
    assert json.loads(json.dumps(tasks, allow_nan=False)) == tasks


def test_the_mean_film():
    """Its squared error is the variance of the films at each pixel, and a model that draws it does no better."""
    frontal = np.stack([corpus()[index].image / 255 for index in range(N)])
    mean = torch.from_numpy(frontal.mean(axis=0)).float()
    tasks = evaluate(Pipe(draw=lambda films: mean.expand_as(films)))
    assert tasks["frontal"]["mean_film"]["mse"] == pytest.approx(frontal.var(axis=0).mean(), rel=1e-4)
    for figure in ("ssim", "mse"):
        assert tasks["frontal"][figure] == pytest.approx(tasks["frontal"]["mean_film"][figure], rel=1e-4)
        low, high = tasks["frontal"]["intervals"][figure]
        assert low < tasks["frontal"][figure] < high
        # the mean frontal film in place of lateral ones is worse than their own mean
        better = tasks["lateral"]["mean_film"][figure] - tasks["lateral"][figure]
        assert better > 0 if figure == "ssim" else better < 0


def test_the_command_and_the_table():
    tasks = evaluate(Pipe(), prevalence="natural")
    assert tasks["command"] == (
        "hf-medreport evaluate phantom --model stub --n 12 --seed 1 --split test --prevalence natural --json"
    )
    rows = {line[:30].strip(): line[30:].split() for line in tasks_table(tasks).splitlines()}
    assert rows["12 cases"] == ["model", "mean", "film"]
    assert rows["frontal ssim"][:3] == ["1.000", "[1.000,", "1.000]"] and len(rows["frontal ssim"]) == 6
    assert rows["lateral mse"][:3] == ["0.00000", "[0.00000,", "0.00000]"]
    assert rows["accuracy"] == ["1.000", "[1.000,", "1.000]", f"{tasks['classification']['majority']['accuracy']:.3f}"]
    assert rows["auc, lateral alone"] == ["0.500", "[0.500,", "0.500]"]
    one_class = evaluate(Pipe(), n=1)  # no second class to rank against
    assert "auc undefined" in " ".join(tasks_table(one_class).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(system("cxr_multitask"), tmp_path_factory.mktemp("pairs") / "pairs")


def test_a_real_model_is_compared_with_what_its_encoder_saw(folder, monkeypatch):
    """After the crop, that is, and not before."""
    pipe = load(folder, device="cpu")
    box = torch.tensor([0.1, 0.2, 0.8, 0.9])
    monkeypatch.setattr(pipe.model, "frontal_boxes", lambda films, rows, masks: box.expand(len(rows), 4))
    size = pipe.processor.image_processor.size
    tasks = evaluate(pipe, n=3, batch_size=2)
    cases = [corpus(3, size=size)[index] for index in range(3)]
    with torch.no_grad():
        inputs = pipe.preprocess([{"frontal": case.image, "lateral": case.lateral.image} for case in cases])
        output = pipe.model(**inputs)
    frontal, lateral = (output[f"{view}_target"].var(dim=0).mean() for view in VIEWS)
    assert tasks["frontal"]["mean_film"]["mse"] == pytest.approx(frontal.item() * 2 / 3, rel=1e-4)  # of 3, not of 2
    assert tasks["lateral"]["mean_film"]["mse"] == pytest.approx(lateral.item() * 2 / 3, rel=1e-4)
    for view in VIEWS:
        error = output[f"{view}_reconstruction"] - output[f"{view}_target"]
        assert tasks[view]["mse"] == pytest.approx(error.square().mean().item(), rel=1e-4)
    said = (output.abnormal_logits > 0).tolist() == [bool(case.facts) for case in cases]
    assert (tasks["classification"]["accuracy"] == 1) == said


def test_the_verb(folder, capsys, monkeypatch):
    monkeypatch.setattr(phantom, "constant_text", lambda: "FINDINGS: The lungs are clear. IMPRESSION: Normal.")
    flags = ["evaluate", "phantom", "--model", folder, "--n", 2]
    code, out, _ = run(capsys, *flags, "--json")
    scores = json.loads(out)
    assert code == 0 and scores["tasks"]["n"] == 2 and set(scores["text"]) == {"bleu4", "rougeL"}
    assert scores["tasks"]["command"] == scores["command"]
    code, out, _ = run(capsys, *flags)
    lines = [line[:24].strip() for line in out.splitlines()]
    assert code == 0 and lines.index("2 films") < lines.index("text bleu4") < lines.index("2 cases")
    code, out, err = run(capsys, *flags, "--evidence")
    message = "--evidence: found a model of film pairs; expected one of single films or slides; leave it out"
    assert code == 2 and err.splitlines()[-1].endswith(message) and not out


BAD = {
    "another kind": (
        {},
        {"model_type": "anatomical_report"},
        "stub: found model_type 'anatomical_report'; expected a model of film pairs"
        "; give a model that reconstructs its films",
    ),
    "no cases": ({"n": 0}, {}, "n: found 0; expected at least 1 case; ask for one or more cases"),
    "half a case": ({"n": 1.5}, {}, "n: found 1.5; expected at least 1 case; ask for one or more cases"),
    "a seed below 0": ({"seed": -1}, {}, "seed: found -1; expected a whole number from 0; choose another seed"),
    "no such split": (
        {"split": "tset"},
        {},
        "split: found 'tset'; expected one of train, validation, test, held_back_style; name a known split",
    ),
    "weights that are no numbers": (
        {},
        {"sure": float("nan")},
        "probabilities[0]: found nan; expected 0 to 1; check the model's weights",
    ),
}


@pytest.mark.parametrize(("options", "made", "message"), BAD.values(), ids=BAD)
def test_bad_input(options, made, message):
    with pytest.raises(InputError) as caught:
        evaluate(Pipe(**made), **options)
    assert str(caught.value) == message
