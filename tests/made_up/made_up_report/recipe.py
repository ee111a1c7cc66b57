"""The recipe: its arguments, how data and model are built from them, and the end that all recipes share."""

from dataclasses import dataclass, field
from functools import partial

from made_up_report.configuration_made_up import MadeUpConfig
from made_up_report.modeling_made_up import MadeUpForConditionalGeneration
from made_up_report.processing_made_up import MadeUpProcessor
from transformers import set_seed

from hf_medreport.data.drawn.films import PhantomReports, PhantomSource
from hf_medreport.evaluation.phantom.films import evaluate_phantom
from hf_medreport.inference.loading import load
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.recipe import (
    TEST_BENCH,
    ReportDataArguments,
    ReportRecipeArguments,
    RunArguments,
    finish,
    fit,
)
from hf_medreport.training.tokenizer import train_tokenizer
from hf_medreport.training.trainer import ReportTrainer


@dataclass
class ModelArguments:
    """The model."""

    image_size: int = field(default=64, metadata={"help": "Side of the film in pixels."})
    vocabulary_size: int = field(default=320, metadata={"help": "Of the tokenizer, which is trained on the reports."})
    decoder: dict = field(default_factory=dict, metadata={"help": "GPT-2's sizes."})
    max_text_tokens: int = field(default=100, metadata={"help": "Longer reports are cut."})


@dataclass
class RecipeArguments(ReportRecipeArguments):
    """Trainer's arguments with this recipe's defaults."""

    output_dir: str = "runs/made_up"


def train(config: str | None, flags: list[str]) -> dict:
    """Train on drawn films and return the last metrics; see `hf_medreport.training.run`."""
    classes = (ModelArguments, ReportDataArguments, RecipeArguments)
    asked = RunArguments("made_up", config, *read_arguments(classes, config, flags))
    set_seed(asked.training.seed)
    films = PhantomReports(PhantomSource(asked.data.phantom_cases, asked.data.phantom_seed, asked.model.image_size))
    model, processor = build(asked.model, films)
    trainer = ReportTrainer(
        model=model,
        args=asked.training,
        data_collator=partial(collate, processor, asked.model.max_text_tokens),
        train_dataset=films,
        processing_class=processor.tokenizer,
    )
    metrics = fit(trainer, asked, inputs=[])
    trained = trainer.accelerator.unwrap_model(trainer.model)
    described = {"base": "random weights", "data": f"{asked.data.phantom_cases} phantom films"}
    generation = {"max_new_tokens": asked.model.max_text_tokens}
    return finish(trainer, asked, metrics, trained, processor, partial(evaluate, asked), described, generation)


def build(arguments: ModelArguments, films: PhantomReports) -> tuple:
    """Model and processor."""
    tokenizer = train_tokenizer(films.texts(), arguments.vocabulary_size)
    sizes = {"image_size": arguments.image_size, "vocab_size": len(tokenizer), **arguments.decoder}
    model = MadeUpForConditionalGeneration(MadeUpConfig(**sizes, statement=TEST_BENCH))
    return model, MadeUpProcessor(FilmImageProcessor(arguments.image_size), tokenizer)


def collate(processor: MadeUpProcessor, max_length: int, records: list[dict]) -> dict:
    """Records -> one batch."""
    films, texts = [record["image"] for record in records], [record["text"] for record in records]
    return dict(processor(films, text_target=texts, max_length=max_length))


def evaluate(asked: RunArguments, folder) -> dict:
    """Scores of the saved folder on phantom films."""
    return {"test": evaluate_phantom(load(folder), n=asked.training.evaluation_cases, seed=1)}
