"""The table of systems: one row names everything the library knows of a system.

Each room `systems/NAME/row.py` holds its rows as `ROWS`; other packages bring theirs by an entry point of the group
`hf_medreport.systems`, which names such a tuple. Whatever differs between systems is asked of their rows, nowhere of
their names. Names are resolved when first used, so importing this file imports neither torch nor transformers. Each
kind has one contract suite in `tests/contract/`; adding a row is all it takes to be tested.
"""

import importlib
import pkgutil
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError

CHECKPOINTS = Path(__file__).parent / "checkpoints"
GROUP = "hf_medreport.systems"


@dataclass(frozen=True)
class System:
    """One system. Classes, functions and modules are given as `"package.module:name"`.

    Args:
        model_type: what its config.json says.
        kind: which contract it keeps: `"report"` (picture -> text), `"segmenter"` (picture -> masks), `"causal-lm"`
            (text -> text) or `"encoder"` (picture and text -> states).
        config, model, processor: its classes; no processor: a tokenizer of any class.
        auto_classes: the Auto classes that must load its folders, beside those of configuration and processor.
        pipeline: its `image-to-text` pipeline; None where the kind has none.
        image_processor: a class of ours that AutoImageProcessor finds by this system's configuration.
        reads: what a report model is given: `"film"`, `"pair"` (frontal and lateral film) or `"slide"`.
        given: what a case may bring beside its image: `"mask"`, `"labels"`. Whether one model of the system takes,
            needs or refuses it says `model.takes()`.
        text_metrics: by which its words are scored beside its facts, where images are drawn.
        check: a function (name, model, processor), called when a model is loaded, that refuses what does not fit.
        tasks: the function that scores what it does beside reporting, and the one that prints these scores.
        card: the function config -> `hub.card.Kind`, which says what its card shows.
        tiny: configuration small enough for tests.
        checkpoint: the shipped model's folder name in `checkpoints/`, None where none ships.
        default: whether `checkpoint` is the model that is taken where none is named, for what it reads.
        extras: which extras of this package it needs.
        recipe: the training recipe's module, None where there is none.
        converters: `{name: command}` of the verb `convert`, see `cli/convert.py`.
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
    default: bool = False
    extras: tuple[str, ...] = ()
    recipe: str | None = None
    converters: dict[str, str] = field(default_factory=dict)

    def resolve(self, what: str):
        """The class or function named by the field `what`."""
        return named(getattr(self, what))

    @property
    def folder(self) -> Path | None:
        """Where the shipped model lies."""
        return self.checkpoint and CHECKPOINTS / self.checkpoint


# A report model whose code came with it: nobody knows more of it than that it reads films.
FOREIGN = System("", "report", "", "", (), reads="film")


def named(name: str):
    """What `"package.module:name"` names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


@cache
def systems() -> tuple[System, ...]:
    """The rows of all systems: of this library's rooms, then of other packages.

    Raises:
        InputError: two rows of one model type.
    """
    rooms = importlib.import_module(GROUP)
    found = [f"{GROUP}.{room.name}.row:ROWS" for room in pkgutil.iter_modules(rooms.__path__) if room.ispkg]
    found += [point.value for point in entry_points(group=GROUP)]
    rows, sources = [], {}
    for source in found:
        for row in named(source):
            if row.model_type in sources:
                expected = f"one row of it, and {sources[row.model_type]} has one"
                raise InputError(source, f"model_type '{row.model_type}'", expected, "uninstall one of the two")
            sources[row.model_type] = source
            rows.append(row)
    return tuple(rows)


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
    return {row.checkpoint: row.folder for row in systems() if row.checkpoint and (not kinds or row.kind in kinds)}


def default_model(reads: str) -> str:
    """The shipped model that is taken where none is named, for images that are read so."""
    return next(row.checkpoint for row in systems() if row.default and row.reads == reads)


@cache
def register_auto_classes() -> None:
    """Teach transformers' Auto classes our own, so that a folder loads with the installed code and no remote code."""
    import transformers

    for row in systems():
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
