"""The table of systems: one row names everything the library knows of a system.

Each room `systems/NAME/row.py` holds its rows as `ROWS`; other packages bring theirs by an entry point of the group
`hf_medreport.systems`, which names such a tuple. Whatever differs between systems is asked of their rows, nowhere of
their names. Names are resolved when first used, so importing this file imports neither torch nor transformers. Each
kind has one contract suite in `tests/contract/`; adding a row is all it takes to be tested.
"""

import importlib
import logging
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError

CHECKPOINTS = Path(__file__).parent / "checkpoints"
GROUP = "hf_medreport.systems"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class System:
    """One system. Classes, functions and modules are given as `"package.module:name"`.

    Args:
        model_type: what its config.json says.
        kind: which contract it keeps: `"report"` (picture -> text), `"segmenter"` (picture -> masks), `"causal-lm"`
            (text -> text), `"encoder"` (picture and text -> states), `"conditioner"` (text -> states), `"judge"`
            (picture -> answers), `"reward"` (picture, and prompt where `given` names it -> score) or `"generator"`
            (text -> picture): a pipeline of diffusers, whose folder has a model_index.json and no configuration.
        config, model, processor: its classes; no processor: a tokenizer of any class, or transformers' own processor of
            pictures. A generator's model is its pipeline.
        auto_classes: the Auto classes that must load its folders, beside those of configuration and processor.
        pipeline: its `image-to-text` pipeline; None where the kind has none.
        image_processor: a class that AutoImageProcessor finds by this system's configuration, and that travels.
        reads: what a report model is given: `"film"`, `"pair"` (frontal and lateral film) or `"slide"`; a generator is
            given a `"prompt"`.
        given: what a case may bring beside its image: `"mask"`, `"labels"`, of a reward model `"prompt"`. Whether one
            report model of the system takes, needs or refuses it says `model.takes()`.
        text_metrics: by which its words are scored beside its facts, where images are drawn.
        check: a function (name, model, processor), called when a model is loaded, that refuses what does not fit.
        tasks: the function that scores what it does beside reporting, and the one that prints these scores.
        card: the function config -> `hub.card.Kind`, which says what its card shows.
        tiny: configuration small enough for tests.
        checkpoint: the folder name in this library's `checkpoints/` of the model that it ships, None where none ships.
        apart: the folder name of a second model of the system that ships, trained apart from the first: of a judge the
            one that stands for a rater.
        default: whether `checkpoint` is the model that is taken where none is named, for what it reads.
        extras: which extras of this package it needs.
        recipe: the training recipe's module, None where there is none.
        converters: `{name: command}` of the verb `convert`, see `cli/convert.py`.
        citation: BibTeX of what it was published as; empty for what is this library's own.
    """

    model_type: str
    kind: str
    config: str
    model: str
    auto_classes: tuple[str, ...]
    processor: str | None = None
    pipeline: str | None = None
    image_processor: str | None = None
    reads: str | None = None
    given: tuple[str, ...] = ()
    text_metrics: tuple[str, ...] = ()
    check: str | None = None
    tasks: tuple[str, str] | None = None
    card: str | None = None
    tiny: dict = field(default_factory=dict)
    checkpoint: str | None = None
    apart: str | None = None
    default: bool = False
    extras: tuple[str, ...] = ()
    recipe: str | None = None
    converters: dict[str, str] = field(default_factory=dict)
    citation: str = ""

    def resolve(self, what: str):
        """The class or function named by the field `what`."""
        return named(getattr(self, what))

    @property
    def shipped(self) -> dict[str, Path]:
        """The folders of its shipped models by name, the first of them first."""
        return {name: CHECKPOINTS / name for name in (self.checkpoint, self.apart) if name}


# A report model whose code came with it: nobody knows more of it than that it reads films.
FOREIGN = System("", "report", "", "", (), reads="film")


def named(name: str):
    """What `"package.module:name"` names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


@cache
def systems() -> tuple[System, ...]:
    """The rows of all systems: of this library's rooms, then of other packages.

    What another package announces is left out with a warning where it gives no rows, or a model type that is taken.
    """
    rooms = importlib.import_module(GROUP)
    rows = {}
    for room in pkgutil.iter_modules(rooms.__path__):
        if room.ispkg:
            rows |= {row.model_type: row for row in named(f"{GROUP}.{room.name}.row:ROWS")}
    for point in entry_points(group=GROUP):
        for row in _rows_of(point):
            if row.model_type in rows:
                _leave_out(point, f"there is a system of model_type '{row.model_type}' already")
            else:
                rows[row.model_type] = row
    return tuple(rows.values())


def _rows_of(point: EntryPoint) -> tuple[System, ...]:
    """The rows that another package announces; none, and a warning, where there is nothing of the kind."""
    try:
        rows = point.load()
        reason = f"{point.value} is no tuple of {System.__module__}.System"
    except Exception as error:  # whatever happens when a module of somebody else's is imported
        rows, reason = None, f"{type(error).__name__}: {error}"
    if isinstance(rows, tuple) and all(isinstance(row, System) for row in rows):
        return rows
    _leave_out(point, reason)
    return ()


def _leave_out(point: EntryPoint, reason: str) -> None:
    package = point.dist.name if point.dist else "?"
    logger.warning("systems of the package %s (entry point '%s') are left out: %s", package, point.name, reason)


def find_system(model_type: object) -> System | None:
    """The row of what a config.json gives as model type; None of a system that this library does not have."""
    return next((row for row in systems() if row.model_type == model_type), None)


def system(model_type: str) -> System:
    """The row of a model type; InputError names the nearest one for an unknown type."""
    row = find_system(model_type)
    if row is None:
        known = [row.model_type for row in systems()]
        hint = did_you_mean(model_type, known) or "use one of these, or load it with its own library"
        raise InputError("model_type", f"'{model_type}'", f"one of {', '.join(known)}", hint)
    return row


def system_of(model) -> System:
    """The row of a loaded model; `FOREIGN` for one of another library."""
    return find_system(getattr(model.config, "model_type", None)) or FOREIGN


def shipped(*kinds: str) -> dict[str, Path]:
    """The folders of the shipped models of these kinds, or of all, by name."""
    rows = (row for row in systems() if not kinds or row.kind in kinds)
    return {name: folder for row in rows for name, folder in row.shipped.items()}


def default_model(reads: str) -> str | None:
    """The shipped model that is taken where none is named, for what is read so; None where none ships."""
    return next((row.checkpoint for row in systems() if row.default and row.reads == reads), None)


def find_generator(pipeline: str) -> System | None:
    """The row of the generator whose pipeline has this class name; None of a pipeline that this library lacks."""
    rows = (row for row in systems() if row.kind == "generator")
    return next((row for row in rows if row.model.rpartition(":")[2] == pipeline), None)


@cache
def register_auto_classes() -> None:
    """Teach transformers' Auto classes our own, so that a folder loads with the installed code and no remote code.

    A system of another package whose code does not load is left out with a warning.
    """
    for row in systems():
        if row.kind != "generator":  # which diffusers loads, and no Auto class
            with others_may_fail(row):
                _register(row)


@contextmanager
def others_may_fail(row: System) -> Iterator[None]:
    """Around what needs a row's code: where that of another package fails, it is left out with a warning."""
    try:
        yield
    except Exception as error:
        if row.model.startswith("hf_medreport."):
            raise
        logger.warning("%s of another package is left out: %s: %s", row.model_type, type(error).__name__, error)


def _register(row: System) -> None:
    import transformers

    config, model = row.resolve("config"), row.resolve("model")
    transformers.AutoConfig.register(row.model_type, config)
    for name in row.auto_classes:
        getattr(transformers, name).register(config, model)
    if row.kind in ("report", "encoder"):
        transformers.AutoProcessor.register(config, row.resolve("processor"))
    if row.image_processor:
        # Found by the class name that a folder gives; the configuration is only the key it is filed under.
        backends = dict.fromkeys(("pil", "torchvision"), row.resolve("image_processor"))  # whatever is installed
        transformers.AutoImageProcessor.register(config, image_processor_classes=backends)
