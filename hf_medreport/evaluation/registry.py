"""The table of metrics: a name, and where its function stands. A module is imported when its metric is first used.

from hf_medreport.evaluation.registry import metric
metric("cider_d")(predictions, references).value
"""

import importlib
import inspect
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from hf_medreport.evaluation.score import Score
from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError

__all__ = ["METRICS", "Metric", "metric", "read_options"]

OBJECTS = ("annotator", "frequencies", "scorer")  # options that only Python can give


@dataclass(frozen=True)
class Metric:
    """One metric.

    Args:
        name: as users write it.
        function: `"module:function"` below `hf_medreport.evaluation`.
        options: what makes the function this metric.
        needs: what a user must have beside this package and give as an option; empty where nothing.
        required: options without which it cannot run.
    """

    name: str
    function: str
    options: dict = field(default_factory=dict)
    needs: str = ""
    required: tuple[str, ...] = ()

    @property
    def per_report(self) -> bool:
        """Whether a report has a value of its own. A macro figure is a mean over labels, of a set: one report's labels
        are too few for it, and `per_sample` holds the micro figure's values."""
        return self.options.get("average") != "macro"

    def resolve(self):
        """The function, without the options."""
        module, _, name = self.function.partition(":")
        return getattr(importlib.import_module(f"hf_medreport.evaluation.{module}"), name)

    def check_options(self, options: dict) -> None:
        """InputError where a required one is missing; for callers who would know before long work."""
        for option in self.required:
            if options.get(option) is None:
                remedy = f"give `{option}`, or the `option` {self.name}.{option}=..."
                if option in OBJECTS:
                    remedy = f"give `{option}` in Python"
                raise InputError(f"metric {self.name}", f"no option '{option}'", self.needs, remedy)

    def __call__(self, predictions: list[str], references: list, **options) -> Score:
        self.check_options(options)
        return self.resolve()(predictions, references, **self.options, **options)


def _label_scores(labels: str, function: str, needs: str = "") -> list[Metric]:
    """On 14 observations and on five, micro and macro."""
    return [
        Metric(
            f"{labels}{'5' if five else ''}_{'macro_' if average == 'macro' else ''}{figure}",
            function,
            {"figure": figure, "average": average, "observations": 5 if five else 14},
            needs,
        )
        for five in (False, True)
        for average in ("micro", "macro")
        for figure in ("f1", "precision", "recall")
    ]


_ROWS = (
    *(Metric(f"bleu{n}", "text.bleu:bleu", {"order": n}) for n in (1, 2, 3, 4)),
    *(Metric(f"sacrebleu{n}", "text.bleu:sacrebleu", {"order": n}) for n in (1, 2, 3, 4)),
    *(Metric(kind, "text.rouge:rouge", {"kind": kind}) for kind in ("rouge1", "rouge2", "rougeL")),
    Metric("rougeL_coco", "text.rouge:rouge_coco"),
    Metric("meteor", "text.meteor:meteor"),
    Metric("cider", "text.cider:cider"),
    Metric("cider_d", "text.cider:cider", {"clipped": True}),
    *(
        Metric(f"token_{figure}", "text.token_overlap:token_overlap", {"figure": figure})
        for figure in ("accuracy", "precision", "recall", "f1")
    ),
    Metric(
        "bertscore", "text.bertscore:bertscore", needs="an encoder's folder, as the option model", required=("model",)
    ),
    *_label_scores("chexpert", "clinical.label_scores:chexpert"),
    *_label_scores("chexbert", "clinical.chexbert:chexbert", "the package f1chexbert, or CheXbert's folder as model"),
    *(
        Metric(f"pathology_{figure}", "clinical.pathology:pathology", {"figure": figure})
        for figure in ("f1", "precision", "recall")
    ),
    *(
        Metric(f"facts_{prefix}{figure}", "clinical.facts:facts", {"figure": figure, "level": level})
        for level, prefix in (("exact", ""), ("whole", "whole_"))
        for figure in ("f1", "precision", "recall")
    ),
    *(
        Metric(
            f"umls_{figure}{'' if scaling == 'raw' else '_' + scaling}",
            "clinical.umls:umls",
            {"figure": figure, "scaling": scaling},
            "a table of terms (id<TAB>term) or a linker, as the option linker",
            ("linker",),
        )
        for scaling in ("raw", "legacy_scaled", "length_penalized")
        for figure in ("f1", "precision", "recall", "jaccard")
    ),
    *(
        Metric(
            f"radgraph_{variant}",
            "clinical.radgraph:radgraph",
            {"variant": variant},
            "the package radeval or radgraph and the option model, such as radgraph-xl",
        )
        for variant in ("E", "ER", "bar")
    ),
    Metric("learned", "learned:learned", needs="your scorer, as the option scorer", required=("scorer",)),
)
METRICS = {row.name: row for row in _ROWS}


def metric(name: str) -> Metric:
    """The metric of that name, to be called; InputError lists the known ones for an unknown name."""
    if name not in METRICS:
        hint = did_you_mean(name, METRICS, "use one of these")
        raise InputError("metric", f"'{name}'", f"one of {', '.join(METRICS)}", hint)
    return METRICS[name]


def read_options(texts: Iterable[str]) -> dict[str, dict]:
    """Options as a command line gives them, for `evaluate_reports`.

    A value is read as the type of the option's default. A linker's file is read here, once for all metrics.

    Args:
        texts: `METRIC.NAME=VALUE`, such as `bertscore.model=folder` or `umls_f1.linker=terms.tsv`.

    Raises:
        InputError: another form, an unknown metric or option, a value of another type, see `DictionaryLinker`.
    """
    options, linkers = {}, {}
    for text in texts:
        key, equals, value = text.partition("=")
        name, dot, option = (part.strip() for part in key.partition("."))
        if not (name and dot and option and equals and value):
            expected = "METRIC.NAME=VALUE"
            raise InputError("option", f"'{text}'", expected, "write it like bertscore.model=folder")
        row = metric(name)
        known = _text_options(row)
        if option not in known:
            expected = f"one of {', '.join(known)}" if known else f"none, as {name} has none"
            raise InputError("option", f"'{name}.{option}'", expected, "correct the name, or give it in Python")
        if option == "linker":
            if value not in linkers:
                linkers[value] = _term_table(value)
            options.setdefault(name, {})[option] = linkers[value]
        else:
            options.setdefault(name, {})[option] = _option_value(key, value, known[option])
    return options


def _text_options(row: Metric) -> dict:
    """{option: default} of what can be written as text and is not what makes the function this metric."""
    parameters = inspect.signature(row.resolve()).parameters.values()
    free = [each for each in parameters if each.kind is each.KEYWORD_ONLY and each.name not in (*row.options, *OBJECTS)]
    return {each.name: each.default for each in free}


def _term_table(path: str):
    from hf_medreport.evaluation.clinical.linkers import DictionaryLinker

    return DictionaryLinker(path)


def _option_value(key: str, value: str, default):
    """ "false" is no string where the default is a bool: as one it would count as true."""
    kind = type(default)
    if kind not in (bool, int, float):
        return value
    try:
        read = json.loads(value)
    except ValueError:
        read = None
    if type(read) is not kind and not (kind is float and type(read) is int):
        expected = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise InputError("option", f"{key}='{value}'", expected, "correct the value")
    return read
