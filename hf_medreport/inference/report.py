"""A report as the library hands it on: words with their spans, how sure and from where each sentence came, and which
model wrote it of which image. Text, JSON and picture are all made from it.
"""

from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from hf_medreport.files.run_folder import code_version
from hf_medreport.inference.figures.film import report_figure
from hf_medreport.inference.labels import label_words
from hf_medreport.inference.loading import model_name, model_revision, settings_digest
from hf_medreport.processing import report_object
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.processing.report_object import ReportObject

PREVIEW_PX = 1024  # longest side of the picture that a report keeps: a film may be many times larger


@dataclass(kw_only=True)
class Sentence(report_object.Sentence):
    """One sentence and its span; `mean_logprob` is the mean natural log-probability of its tokens, `evidence` a map of
    sum 1, or less where some of it lay on the padding around the film."""

    text: str
    mean_logprob: float
    evidence: np.ndarray = field(repr=False)


@dataclass(kw_only=True)
class Report(ReportObject):
    """What a model wrote for one film, and what is needed to say where it came from.

    `revision` is the digest of the weights, `settings_digest` that of what else in the model's folder decides what is
    written, `code_version` that of this library. `labels` are the findings that the model was given before it wrote,
    `label_source` says by whom: `"oracle"`, the user, or `"predicted"`, its own head; both None for a model that is
    given none. `notes` are sentences on what the film's header says against it, or does not say.
    """

    film: str
    film_sha256: str
    model: str
    revision: str
    settings_digest: str = ""
    code_version: str = field(default_factory=code_version)
    statement: str = ""
    labels: list[str] | None = None
    label_source: str | None = None
    notes: list[str] = field(default_factory=list)
    image: np.ndarray | None = field(default=None, repr=False)  # at most PREVIEW_PX a side
    prior: np.ndarray | None = field(default=None, repr=False)  # lungs and heart, of any size

    @property
    def name(self) -> str:
        """The file that the report's picture is named after."""
        return self.film

    @property
    def label_words(self) -> str:
        """The labels and their source in words; empty for a model that is given none."""
        return label_words(self.labels, self.label_source)

    @property
    def note_lines(self) -> list[str]:
        """The notes as a screen and the picture show them."""
        return [f"note: {note}" for note in self.notes]

    def to_text(self) -> str:
        """What a screen shows."""
        return "\n".join([self.film, *filter(None, [self.label_words]), *self.note_lines, self.text, ""])

    def to_json(self) -> dict:
        """Everything but pixels: no maps, no folder of the film."""
        parts = super().to_json()
        for written, sentence in zip(parts["sentences"], self.sentences, strict=True):
            del written["facts"]  # nobody read any
            written["mean_logprob"] = round(sentence.mean_logprob, 4)
        return {
            "film": self.film,
            "film_sha256": self.film_sha256,
            **parts,
            "model": self.model,
            "revision": self.revision,
            "settings_digest": self.settings_digest,
            "code_version": self.code_version,
            "statement": self.statement,
            "labels": self.labels,
            "label_source": self.label_source,
            "notes": self.notes,
        }

    def figure(self, facts: list[tuple[str, str]] | None = None) -> Figure:
        """The report as a picture; `facts` as in `report_figure`."""
        return report_figure(self, facts)

    def release(self) -> None:
        """Let go of the pixels, once they are drawn: a run over many films keeps every report."""
        self.image = self.prior = None


@dataclass(frozen=True)
class Failure:
    """An image without a report, and why."""

    film: str
    message: str


def source_of(pipe: MedicalReportPipeline) -> dict:
    """The fields of a `Report` that say which model wrote it."""
    return {
        "model": model_name(pipe),
        "revision": model_revision(pipe),
        "settings_digest": settings_digest(pipe),
        "statement": getattr(pipe.model.config, "statement", ""),  # models of other libraries have none
    }


def written_of(record: dict) -> dict:
    """The fields of a `Report` that a pipeline's record fills."""
    return {
        "text": record["generated_text"],
        "sections": ReportObject.parse(record["generated_text"]).sections,
        "sentences": [Sentence(**sentence) for sentence in record["sentences"]],
        "labels": record.get("labels"),
        "label_source": record.get("label_source"),
        "notes": list(record.get("notes", ())),
    }


def preview(film: np.ndarray) -> np.ndarray:
    """The film at most PREVIEW_PX a side, for pictures; the model has read the whole one."""
    height, width = film.shape[:2]
    scale = PREVIEW_PX / max(height, width)
    if scale >= 1:
        return film
    size = max(1, round(width * scale)), max(1, round(height * scale))
    planes = [film] if film.ndim == 2 else list(np.moveaxis(film, -1, 0))
    small = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX)) for plane in planes]
    return small[0] if film.ndim == 2 else np.stack(small, axis=-1)
