"""Figures and pictures of rounds for who looks on."""

import sys
from types import SimpleNamespace

import pytest
from PIL import Image

from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.rounds import tracking
from hf_medreport.rlhf.rounds.tracking import check_report_to, tracking_to


def test_nowhere(tmp_path):
    with tracking_to("none", tmp_path) as told:
        told.log({"reward": 1.0}, Image.new("RGB", (4, 4)), 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["tensorboard", "trackio", "wandb"])
def test_figures_and_pictures_reach_each(monkeypatch, tmp_path, name):
    seen = []

    class Tracker:
        requires_logging_directory = name == "tensorboard"

        def __init__(self, project, *folder):
            seen.append((project, *folder))

        def start(self):
            pass

        def log(self, values, step):
            seen.append((values, step))

        def log_images(self, values, step, **options):
            seen.append(({key: len(value) for key, value in values.items()}, step, options))

        def finish(self):
            seen.append("finished")

    monkeypatch.setitem(tracking.TRACKERS, name, Tracker)
    monkeypatch.setattr(tracking, "find_spec", lambda package: package)
    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(Image=lambda pixels: pixels.shape))
    with tracking_to(name, tmp_path) as told:
        told.log({"reward": 0.5, "loss": None}, Image.new("RGB", (4, 2)), 3)
    assert seen[0] == (("rlhf", tmp_path) if name == "tensorboard" else ("rlhf",)) and seen[-1] == "finished"
    assert seen[1] == ({"reward": 0.5}, 3)
    expected = {
        "tensorboard": ({"samples": 1}, 3, {"dataformats": "NHWC"}),
        "trackio": ({"samples": (2, 4, 3)}, 3),
        "wandb": ({"samples": 1}, 3, {}),
    }
    assert seen[2] == expected[name]


def test_what_is_refused(monkeypatch):
    with pytest.raises(InputError) as error:
        check_report_to("mlflow")
    assert str(error.value) == (
        "report_to: found 'mlflow'; expected none or one of tensorboard, trackio, wandb; choose one of these"
    )
    monkeypatch.setattr(tracking, "find_spec", lambda package: None)
    with pytest.raises(InputError) as error:
        check_report_to("wandb")
    assert str(error.value) == ("report_to: found no package wandb; expected it, to report to; pip install wandb")
