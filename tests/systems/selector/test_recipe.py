"""The selector's recipe: both methods learn, a kill changes nothing, and nothing pickled is left in the folder."""

import json

import pytest

from hf_medreport.evaluation.pictures.reward_models import load_reward
from hf_medreport.hub.publish import PICKLES, check_folder
from hf_medreport.processing.input_error import InputError
from hf_medreport.training import run
from hf_medreport.training.reward_models.rated_pictures import PairBatches, RatingRecords
from tests.rated import rated_pictures

YAML = """
vision: {image_size: 32, patch_size: 16, hidden_size: 16, intermediate_size: 16, num_hidden_layers: 1,
  num_attention_heads: 2, hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0}
head_sizes: [8, 4]
dropout: 0.0
passes: 4
calibration: 0.2
per_device_train_batch_size: 16
learning_rate: 0.02
max_steps: 24
save_steps: 8
report_to: none
disable_tqdm: true
bf16: "false"
half_precision_weights: true
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with ratings by brightness, and a YAML."""
    place = tmp_path_factory.mktemp("selector")
    table = rated_pictures(place / "ratings", by_prompt=False)
    (place / "selector.yaml").write_text(f"{YAML}ratings: {table}\n")
    return place


def trained(place, name: str, *flags: str) -> dict:
    return run("selector", str(place / "selector.yaml"), ["--output_dir", str(place / name), *flags])


@pytest.fixture(scope="module")
def whole(place):
    return trained(place, "whole")


def test_it_learns_which_pictures_are_good(place, whole):
    folder = place / "whole" / "model"
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert whole["auc"] == evaluation["model"]["auc"] == 1 and whole["pairwise"] > 0.8
    assert evaluation["constant"]["auc"] == evaluation["constant"]["pairwise"] == 0.5
    assert evaluation["blinded"]["auc"] < 0.8
    counts = evaluation["ratings"]
    assert sum(counts.values()) == 160 and min(counts.values()) >= 8 and evaluation["n"] == counts["held_out"]
    kappas = {rater: told["kappa"] for rater, told in evaluation["model"]["raters"].items()}
    assert kappas["expert"] > max(0.5, kappas["novice"]) and evaluation["rejected_by_gates"] == 0
    card = (folder / "README.md").read_text()
    assert f"| rated 3 above rated 1 (AUC) | {whole['auc']:.3f} (" in card
    assert f"| kappa with expert | {kappas['expert']:.3f}" in card
    assert "hf-medreport train selector --config" in card and "weighted regression on ratings" in card


def test_the_folder_holds_no_pickle_and_can_be_published(place, whole):
    files, left_out = check_folder(place / "whole" / "model")
    assert {"modeling_selector.py", "evaluation.json", "preprocessor_config.json"} <= set(files) and not left_out
    assert not [path for path in (place / "whole" / "model").rglob("*") if path.suffix in PICKLES]


def test_a_killed_run_ends_in_the_same_bytes(place, whole):
    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        patch.setattr(RatingRecords, "__getitem__", stops_after(200, RatingRecords.__getitem__))
        trained(place, "killed")
    trained(place, "killed", "--resume", "true")
    assert bytes_of(place / "whole") == bytes_of(place / "killed")


def stops_after(calls: int, function):
    """A function that is interrupted at a call."""
    seen = []

    def stopping(*args, **kwargs):
        seen.append(args)
        if len(seen) > calls:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return stopping


def bytes_of(run):
    return [(run / "model" / name).read_bytes() for name in ("model.safetensors", "evaluation.json", "config.json")]


def test_pairs_of_ratings_by_trl(place):
    flags = ("--method", "pairs", "--max_steps", "16", "--learning_rate", "0.01", "--most_pairs", "100")
    model = trained(place, "pairs", *flags)
    folder = place / "pairs" / "model"
    assert model["auc"] == 1 and "TRL's RewardTrainer, on pairs" in (folder / "README.md").read_text()
    assert not [path for path in folder.rglob("*") if path.suffix in PICKLES] and check_folder(folder)
    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        patch.setattr(PairBatches, "__call__", stops_after(11, PairBatches.__call__))
        trained(place, "killed_pairs", *flags)
    trained(place, "killed_pairs", *flags, "--resume", "true")
    assert bytes_of(place / "pairs") == bytes_of(place / "killed_pairs")


@pytest.mark.parametrize("method", ["regression", "pairs"])
def test_an_adapter_on_a_trained_model_leaves_its_layers_and_is_merged(place, whole, method):
    flags = ("--model", whole["model"], "--lora_rank", "2", "--method", method, "--max_steps", "3")
    model = trained(place, f"adapter_{method}", *flags)
    old, new = (load_reward(folder, "cpu").model.state_dict() for folder in (whole["model"], model["model"]))
    changed = {name for name in old if not old[name].equal(new[name])}
    assert old.keys() == new.keys() and "vision.layers.0.mlp.fc1.weight" in changed
    assert not {"vision.embeddings.cls_token", "vision.layers.0.mlp.fc1.bias", "norm.weight"} & changed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--method", "ranking"], "method: found 'ranking'; expected regression or pairs; name one of the two"),
        (["--held_out", "1"], "held_out: found 1.0; expected 0 or more and less than 1; give a share such as 0.2"),
        (["--calibration", "-0.1"], "calibration: found -0.1; expected 0 or more and less than 1"),
        (["--held_out", "0.9"], "held_out, calibration: found 0.9 and 0.2; expected less than 1 together"),
        (["--passes", "0"], "passes: found 0; expected at least 1"),
        (["--shift", "-1"], "shift: found -1; expected at least 0"),
        (["--most_pairs", "0"], "most_pairs: found 0; expected at least 1"),
        (["--lora_rank", "4"], "lora_rank: found 4 without `model`; expected a trained model to adapt"),
        (["--lora_rank", "-1"], "lora_rank: found -1; expected 0 or more"),
        (["--eval_strategy", "epoch"], "eval_strategy: found IntervalStrategy.EPOCH; expected no"),
        (["--ratings", "nowhere.csv"], "ratings: found no file nowhere.csv; expected a table of ratings"),
        (["--min_contrast", "2"], "SelectorConfig: found min_contrast=2.0; expected 0 to 1"),
        (["--loss", "abs"], "SelectorConfig: found loss='abs'; expected one of bce, mse, legacy_abs_loss"),
        (["--held_out_raters", "nobody"], "held_out_raters: found 'nobody'; expected some of expert, novice"),
        (["--model", "nowhere"], "reward model: found no folder 'nowhere'; expected the folder of one"),
        (["--rating", "a.csv"], "flag --rating: found no such argument; expected a training argument; did you mean"),
    ],
)
def test_what_is_refused_before_any_work(place, flags, message):
    with pytest.raises(InputError) as error:
        trained(place, "refused", *flags)
    assert str(error.value).startswith(message) and not (place / "refused" / "manifest.json").exists()


def test_no_table_is_named(tmp_path):
    with pytest.raises(InputError, match="ratings: found none; expected a table of ratings; name it"):
        run("selector", None, ["--output_dir", str(tmp_path / "run")])


def test_a_loss_that_is_no_number_ends_the_run(place):
    message = "loss: found nan after 0 steps; expected a number; lower `learning_rate`"
    with pytest.raises(InputError, match=message), pytest.MonkeyPatch.context() as patch:
        patch.setattr(RatingRecords, "__getitem__", lambda self, index: RECORD(self, index) | {"weight": float("inf")})
        trained(place, "nan", "--max_steps", "3")


RECORD = RatingRecords.__getitem__
