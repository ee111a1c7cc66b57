"""The script that brought committed files to today's names: what it renames, and that nothing is left to rename."""

from pathlib import Path

import pytest

from tests.benchmarks import script

keys = script("rename_keys", ".ci")
YAML, CARD = Path("examples/a.yaml"), Path("hf_medreport/checkpoints/a-tiny/README.md")
RESULT = Path("benchmarks/results/a/soft-0.json")
NOTES = (
    "- reconstructed films are compared; SSIM: Wang et al. 2004. The mean film is\n  that of the very films\n"
    "- classification: abnormal at 0.5. AUC: pairs of an abnormal\n  and a normal case that are ranked; majority: "
    "the share of abnormal\n  cases as the probability of each.\n"
)


@pytest.mark.parametrize(
    ("path", "old", "todays"),
    [
        (
            YAML,
            "phantom_films: 9\nphantom_validation_slides: 2\nevaluation_films: 1  # benchmarks/ablation.py\n",
            "phantom_cases: 9\nphantom_validation_cases: 2\n"
            "evaluation_cases: 1  # benchmarks/experiments/ablation.py\n",
        ),
        (YAML, "published_optimiser: true\ntasks: [verdict]", "published_optimizer: true\ntasks: [classification]"),
        (Path("R.md"), "`python benchmarks/decoder.py`", "`python benchmarks/speed/decoder.py`"),
        (RESULT, '{"mode": "soft", "n": 1}', '{"arm": "soft", "n": 1}'),
        (RESULT, '{"mass.randomised": [1], "verdict": 2}', '{"mass.randomized": [1], "classification": 2}'),
        (CARD, "| frontal film redrawn: SSIM | 0.9 |", "| reconstructed frontal film: SSIM | 0.9 |"),
        (CARD, "| labels that the model was told | oracle |", "| labels that the model was given | oracle |"),
        (
            CARD,
            "- redrawn films are compared; SSIM: Wang et al. 2004. The mean film is that of\n  the very films\n"
            "- verdict: abnormal at 0.5. AUC: pairs of an abnormal and a normal\n  case that are ranked; majority: "
            "the share of abnormal cases as the\n  probability of each.\n",
            NOTES,
        ),
        (CARD, NOTES, NOTES),
        (Path("tests/golden/a/meta.json"), '{"verdict": "randomised"}', '{"verdict": "randomised"}'),
    ],
)
def test_old_names_become_todays(path, old, todays):
    assert keys.renamed(old, path) == todays


def test_a_result_is_called_after_its_arm():
    old = "benchmarks/results/joint_training/verdict-alone-0.json"
    assert keys.todays_name(old) == "benchmarks/results/joint_training/classification-alone-0.json"


def test_numbers_are_those_of_every_depth():
    assert keys.numbers({"a": [1, {"b": 2.5, "c": "3"}], "d": None}) == [1, 2.5]
    assert keys.figures("| 0.90 [1] |", Path("README.md")) == ["0", "90", "1"]


def test_nothing_is_left_to_rename():
    assert keys.changes() == {}
