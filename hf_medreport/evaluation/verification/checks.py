"""What is checked of one drawn picture, each by a rule or a model, and what is said of what is wrong.

An `Issue` is JSON: {"issue": "side", "measured": "right", "expected": "left", "action": {"edit": "guidance_scale",
"to": 4.5}}. A check that cannot be made is told with its reason, never guessed.

| check | by | is wrong where |
|---|---|---|
| modality, finding, side, grade | a judge of its own, never the one that scores generators | it sees another |
| artefact | the same judge, where it was asked for artefacts | it sees a strong one |
| heart | our segmenter, films alone | the cardiothoracic ratio is on the wrong side of 0.5 |
| contrast, noise, gray | a rule | flat, noise, or color in a gray modality |
| copy | `copies.TrainingPictures`, where training pictures are given | nearer than these are to each other |
"""

from dataclasses import asdict, dataclass, field

import numpy as np
from PIL import Image

from hf_medreport.evaluation.images.quality import contrast, snr
from hf_medreport.evaluation.pictures.judging import Judge
from hf_medreport.evaluation.verification.asked import Asked, expected_finding
from hf_medreport.evaluation.verification.copies import TrainingPictures
from hf_medreport.evaluation.verification.heart import ENLARGED, NotMeasured, ratio_of_film
from hf_medreport.inference.loading import Segmenter
from hf_medreport.phantom.picture.facts import NO_FINDING

__all__ = ["Checks", "Issue", "Looked"]

# Drawn pictures of all modalities have a contrast of 0.20 to 0.29 and a signal of 4.6 times their noise or more.
LEAST_CONTRAST, LEAST_SNR = 0.1, 3.0
GRAY = ("cxr", "ct", "mri", "oct")
MOST_COLOR = 12  # gray values between the channels of a gray modality, in the mean
STRONG = "strong"  # the answer of a judge that knows artefacts
BORDER = 0.02  # of the ratio: nearer than this to the limit it is on neither side
NOTHING_ASKED, NOT_UNDERSTOOD = "the description asks for none", "the description does not say, or not understood"


@dataclass(frozen=True)
class Issue:
    """What is not as asked.

    Attributes:
        issue: the check's name.
        measured, expected: in words or numbers.
        action: what the next attempt changes: {"edit": "prompt" | "negative_prompt" | "guidance_scale" | "seed", "to"}.
    """

    issue: str
    measured: str | float
    expected: str
    action: dict = field(default_factory=dict)

    def to_json(self) -> dict:
        """For a record."""
        return asdict(self)


@dataclass
class Looked:
    """What was found of one picture: what is wrong, what was checked, and what was not and why."""

    issues: list[Issue] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    not_checked: dict[str, str] = field(default_factory=dict)

    def found(self, check: str, measured: str | float, expected: str, right: bool) -> None:
        """Keep the outcome of a check."""
        self.checked.append(check)
        if not right:
            self.issues.append(Issue(check, measured, expected))


@dataclass(frozen=True)
class Checks:
    """All checks with their models.

    Attributes:
        judge: says what a picture shows.
        segmenter: finds heart and lungs of a film; None: no film is measured.
        training: pictures that none may be a copy of; None: nothing is known of them.
    """

    judge: Judge
    segmenter: Segmenter | None = None
    training: TrainingPictures | None = None

    def look(self, image: Image.Image, asked: Asked) -> Looked:
        """Check a picture of any size."""
        image, looked, size = image.convert("RGB"), Looked(), self.judge.size
        pixels, small = np.array(image), np.array(image.resize((size, size), Image.Resampling.BOX))
        (answer,) = self.judge.look(small[None]).answers
        _look_at_facts(looked, answer, asked)
        self._look_at_heart(looked, pixels, asked)
        _look_at_pixels(looked, pixels, asked, answer.get("artefact"))
        self._look_for_copies(looked, pixels, asked)
        return looked

    def _look_at_heart(self, looked: Looked, pixels: np.ndarray, asked: Asked) -> None:
        """The heart is measured on films alone, and where its size is asked for."""
        enlarged = "cardiomegaly" in asked.findings
        if not enlarged and not asked.normal_heart:
            looked.not_checked["heart"] = NOTHING_ASKED
        elif asked.modality not in (None, "cxr"):
            looked.not_checked["heart"] = "no chest film is asked for"
        elif self.segmenter is None:
            looked.not_checked["heart"] = "no segmenter"
        else:
            try:
                ratio = ratio_of_film(pixels, self.segmenter)
            except NotMeasured as why:
                looked.not_checked["heart"] = str(why)
                return
            right = ratio > ENLARGED - BORDER if enlarged else ratio < ENLARGED + BORDER
            expected = f"a cardiothoracic ratio {'above' if enlarged else 'of at most'} {ENLARGED}"
            looked.found("heart", round(ratio, 3), expected, right)

    def _look_for_copies(self, looked: Looked, pixels: np.ndarray, asked: Asked) -> None:
        if self.training is None:
            looked.not_checked["copy"] = "no training pictures were given"
        elif (found := self.training.nearest(pixels, asked.modality)) is None:
            looked.not_checked["copy"] = "too few training pictures of the modality"
        else:
            similarity, limit = (round(value, 4) for value in found)
            expected = f"a similarity to training pictures of at most {limit}"
            looked.found("copy", similarity, expected, similarity <= limit)


def _look_at_facts(looked: Looked, answer: dict[str, str], asked: Asked) -> None:
    """What the judge says, where it was asked for."""
    finding = expected_finding(asked)
    wanted = {"modality": asked.modality, "finding": finding, "side": asked.side, "grade": asked.grade}
    for check, expected in wanted.items():
        if expected is None:
            looked.not_checked[check] = NOT_UNDERSTOOD
            continue
        right = answer[check] == expected
        if check == "finding":
            allowed = asked.findings or ((NO_FINDING,) if asked.normal else ())
            right = answer[check] in allowed if allowed else answer[check] not in asked.denied
        looked.found(check, answer[check], expected, right)


def _look_at_pixels(looked: Looked, pixels: np.ndarray, asked: Asked, artefact: str | None) -> None:
    """Rules that need no model, and the judge's word on artefacts where it has one."""
    values = pixels.astype(np.float64) / 255
    spread, signal = contrast(values), min(snr(values), 1e3)
    looked.found("contrast", round(spread, 3), f"at least {LEAST_CONTRAST}", spread >= LEAST_CONTRAST)
    looked.found("noise", round(signal, 2), f"a signal of {LEAST_SNR} times the noise", signal >= LEAST_SNR)
    if asked.modality in GRAY:
        color = float(np.ptp(pixels.astype(np.int64), axis=-1).mean())
        looked.found("gray", round(color, 2), "a gray picture", color <= MOST_COLOR)
    else:
        looked.not_checked["gray"] = "no gray modality is asked for"
    if artefact is None:
        looked.not_checked["artefact"] = "the judge does not know artefacts"
    else:
        looked.found("artefact", artefact, "none, or a slight one", artefact != STRONG)
