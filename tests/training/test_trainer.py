"""ReportTrainer: which records it draws, and in what order it evaluates."""

import pytest
import torch

from hf_medreport.training.recipe import ReportRecipeArguments
from hf_medreport.training.samplers import LikeLengths
from hf_medreport.training.trainer import ReportTrainer


class Numbers(torch.utils.data.Dataset):
    """Records that are numbers, with a length each."""

    lengths = [1, 1, 1, 1, 9, 1, 1, 9]

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, index):
        return {"number": index}


@pytest.fixture
def trainer(tmp_path):
    def build(weights=None, **changes):
        sizes = {"per_device_train_batch_size": 2, "per_device_eval_batch_size": 3, "report_to": "none"}
        arguments = ReportRecipeArguments(str(tmp_path), **sizes | changes)
        data = {"train_dataset": Numbers(), "eval_dataset": Numbers()}
        return ReportTrainer(torch.nn.Linear(1, 1), arguments, **data, sample_weights=weights)

    return build


def numbers(loader) -> list[list[int]]:
    return [batch["number"].tolist() for batch in loader]


def test_a_record_without_weight_is_never_drawn(trainer):
    drawn = sum(numbers(trainer([0, 1, 0, 0, 0, 3, 0, 0]).get_train_dataloader()), [])
    assert len(drawn) == 8 and set(drawn) == {1, 5}


def test_batches_of_like_lengths_are_those_of_a_whole_step(trainer):
    """Two of two records each are one step: its four records are alike, not those of a batch alone."""
    settings = {"train_sampling_strategy": "group_by_length", "gradient_accumulation_steps": 2, "data_seed": 5}
    drawn = sum(numbers(trainer(**settings).get_train_dataloader()), [])
    assert drawn == list(LikeLengths(Numbers.lengths, 4, 5)) != list(LikeLengths(Numbers.lengths, 2, 5))


def test_an_evaluation_leaves_no_record_out_and_keeps_their_order(trainer):
    made = trainer(dataloader_drop_last=True)
    assert numbers(made.get_eval_dataloader()) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert made.args.dataloader_drop_last and len(made.get_train_dataloader()) == 4


def test_the_hardware_stands_in_the_log(trainer):
    made = trainer()
    made.log({"loss": 0.5})
    (row,) = made.state.log_history
    assert row["loss"] == 0.5 and row["memory_gib"] > 0 and "cpu_percent" in row
