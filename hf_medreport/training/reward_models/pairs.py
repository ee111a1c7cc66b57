"""TRL's trainer of reward models on pairs: the chosen picture is to score higher than the rejected one by its margin.

Bradley and Terry, 1952; with margins, Touvron et al., 2023, "Llama 2". TRL expects texts: of a pair it is given a
number, the pictures come by the collator, and a picture alone has one token. Importing this file imports TRL and PEFT.
"""

from dataclasses import fields

from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast
from trl import RewardConfig, RewardTrainer

from hf_medreport.training.recipe import ReportRecipeArguments
from hf_medreport.training.reward_models.rated_pictures import PairBatches
from hf_medreport.training.reward_models.trainers import finite
from hf_medreport.training.trainer import ReportTrainer

__all__ = ["PairTrainer", "pair_trainer"]


class PairTrainer(RewardTrainer):
    """RewardTrainer for models that read pictures; it resumes as all trainers here do."""

    best_step = None
    check_weights = ReportTrainer.check_weights
    load_weights = ReportTrainer.load_weights
    load_best_weights = ReportTrainer.load_best_weights
    _load_from_checkpoint = ReportTrainer._load_from_checkpoint

    def compute_loss(self, model, inputs, *args, **kwargs):
        def asked(attention_mask, **rest):
            reads = "input_ids" in rest
            return model(**rest, attention_mask=attention_mask) if reads else model(**rest)

        return finite(super().compute_loss(asked, inputs, *args, **kwargs), self.state.global_step)

    def _save_checkpoint(self, model, trial):
        super(RewardTrainer, self)._save_checkpoint(model, trial)  # without TRL's card, which knows nothing of ours


def pair_trainer(model, batches: PairBatches, passes: int, arguments: ReportRecipeArguments) -> PairTrainer:
    """A trainer that sees each pair `passes` times."""
    numbers = range(passes * len(batches.pairs))
    # By `number` alone a row is known; the other two are the columns that TRL looks for.
    rows = {"chosen_ids": [[0]] * len(numbers), "rejected_ids": [[0]] * len(numbers), "number": list(numbers)}
    return PairTrainer(
        model,
        args=reward_config(arguments),
        data_collator=batches,
        train_dataset=Dataset.from_dict(rows),
        processing_class=batches.tokenizer or _no_words(),
    )


def _no_words() -> PreTrainedTokenizerFast:
    """The tokenizer that TRL asks for where there are pictures alone."""
    pad = "[PAD]"
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({pad: 0}, unk_token=pad)), pad_token=pad)


def reward_config(arguments: ReportRecipeArguments) -> RewardConfig:
    """A recipe's arguments as TRL's, whose own defaults (bfloat16, checkpointing, at most 1024 tokens) are not ours."""
    known = {each.name for each in fields(RewardConfig) if each.init}
    given = {each.name: getattr(arguments, each.name) for each in fields(arguments) if each.name in known}
    # Already an object, and made again from its own fields.
    given["accelerator_config"] = given["accelerator_config"].to_dict()
    return RewardConfig(**given | {"max_length": None, "disable_dropout": False})
