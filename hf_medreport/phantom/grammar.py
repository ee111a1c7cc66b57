"""The words of a report: every fact one sentence, in several wordings, and a short impression.

Two sets of sentences share one vocabulary but no sentence: a model trained on "train" and tested on "held_out" is
asked for the fact, not for the sentence. `{severity}` is mild, moderate, severe (or a nodule's small, large) and
`{size}` the same grade said as a size: small, moderate, large.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hf_medreport.phantom.findings import KINDS, Fact, report_order
from hf_medreport.processing.input_error import InputError

__all__ = ["WORDINGS", "Wordings", "write_report"]

GRADE_AS_SIZE = {"mild": "small", "moderate": "moderate", "severe": "large"}


@dataclass(frozen=True)
class Wordings:
    """Sentence templates: of the findings by kind, of a normal organ, of the impression by kind, of a normal film."""

    findings: dict[str, tuple[str, ...]]
    normal: dict[str, tuple[str, ...]]
    impression: dict[str, tuple[str, ...]]
    nothing: tuple[str, ...]


TRAIN = Wordings(
    findings={
        "cardiomegaly": (
            "The heart is {severity}ly enlarged.",
            "There is {severity} cardiomegaly.",
            "{severity} enlargement of the cardiac silhouette is present.",
            "The cardiac silhouette is {severity}ly enlarged.",
        ),
        "pleural_effusion": (
            "There is a {size} {side} pleural effusion.",
            "A {size} pleural effusion is seen on the {side}.",
            "{size} {side}-sided pleural effusion is present.",
            "The {side} pleural space shows a {size} effusion.",
        ),
        "pneumothorax": (
            "There is a {size} {side} pneumothorax.",
            "A {size} pneumothorax is present on the {side}.",
            "{size} {side}-sided pneumothorax is noted.",
            "The {side} pleural space shows a {size} pneumothorax.",
        ),
        "consolidation": (
            "There is consolidation in the {side} {zone} zone.",
            "Focal consolidation is seen in the {side} {zone} zone.",
            "{side} {zone} zone consolidation is present.",
            "The {side} {zone} lung zone shows airspace consolidation.",
        ),
        "atelectasis": (
            "There is atelectasis in the {side} {zone} zone.",
            "Linear atelectasis is seen in the {side} {zone} zone.",
            "{side} {zone} zone atelectasis is noted.",
            "The {side} {zone} lung zone shows bands of atelectasis.",
        ),
        "nodule": (
            "There is a {severity} {side} {zone} zone nodule.",
            "A {severity} nodule lies in the {side} {zone} zone.",
            "{severity} {side} {zone} zone nodule is present.",
            "The {side} {zone} zone shows a {severity} pulmonary nodule.",
        ),
    },
    normal={
        "heart": (
            "The heart is normal in size.",
            "Heart size is normal.",
            "The cardiac silhouette is within normal limits.",
            "The heart is not enlarged.",
        ),
        "pleura": (
            "There is no pleural effusion or pneumothorax.",
            "No effusion or pneumothorax is seen.",
            "No pneumothorax or pleural effusion is present.",
            "The pleural spaces are clear.",
        ),
        "lungs": (
            "The lungs are clear.",
            "Both lungs are clear.",
            "There is no focal consolidation.",
            "No focal lung abnormality is seen.",
        ),
    },
    impression={
        "cardiomegaly": ("Cardiomegaly.", "Enlarged heart."),
        "pleural_effusion": ("{side} pleural effusion.", "Pleural effusion on the {side}."),
        "pneumothorax": ("{side} pneumothorax.", "Pneumothorax on the {side}."),
        "consolidation": ("{side} {zone} zone consolidation.", "Consolidation, {side} {zone} zone."),
        "atelectasis": ("{side} {zone} zone atelectasis.", "Atelectasis, {side} {zone} zone."),
        "nodule": ("{side} {zone} zone nodule.", "Nodule, {side} {zone} zone."),
    },
    nothing=(
        "No acute cardiopulmonary abnormality.",
        "No acute abnormality.",
        "Normal chest.",
        "No acute cardiopulmonary disease.",
        "Normal heart and lungs.",
    ),
)

HELD_OUT = Wordings(
    findings={
        "cardiomegaly": (
            "{severity} enlargement of the heart is seen.",
            "{severity} cardiomegaly is noted.",
            "The heart shows {severity} enlargement.",
        ),
        "pleural_effusion": (
            "There is a {size} pleural effusion on the {side}.",
            "A {size} {side}-sided pleural effusion is noted.",
            "{size} effusion is present in the {side} pleural space.",
        ),
        "pneumothorax": (
            "There is a {size} pneumothorax on the {side}.",
            "A {size} {side}-sided pneumothorax is seen.",
            "{size} pneumothorax is present in the {side} pleural space.",
        ),
        "consolidation": (
            "There is focal consolidation, {side} {zone} zone.",
            "Airspace consolidation is present in the {side} {zone} zone.",
            "The {zone} zone of the {side} lung shows consolidation.",
        ),
        "atelectasis": (
            "There is linear atelectasis, {side} {zone} zone.",
            "Bands of atelectasis are seen, {side} {zone} zone.",
            "The {zone} zone of the {side} lung shows atelectasis.",
        ),
        "nodule": (
            "A {severity} {side} {zone} zone nodule is seen.",
            "{severity} pulmonary nodule, {side} {zone} zone.",
            "The {side} lung shows a {severity} {zone} zone nodule.",
        ),
    },
    normal={
        "heart": (
            "The cardiac silhouette is normal in size.",
            "Heart size is within normal limits.",
            "The cardiac silhouette is not enlarged.",
        ),
        "pleura": (
            "There is no pneumothorax or pleural effusion.",
            "No pleural effusion or pneumothorax is noted.",
            "The pleural spaces are normal.",
        ),
        "lungs": (
            "No focal consolidation is present.",
            "The lungs are normal.",
            "There is no focal lung abnormality.",
        ),
    },
    impression={
        "cardiomegaly": ("Cardiomegaly is seen.", "Heart enlarged."),
        "pleural_effusion": ("{side}-sided pleural effusion.", "Pleural effusion, {side}."),
        "pneumothorax": ("{side}-sided pneumothorax.", "Pneumothorax, {side}."),
        "consolidation": ("{side} {zone} lung consolidation.", "Consolidation, {side} {zone} lung."),
        "atelectasis": ("{side} {zone} lung atelectasis.", "Atelectasis, {side} {zone} lung."),
        "nodule": ("{side} {zone} lung nodule.", "Nodule, {side} {zone} lung."),
    },
    nothing=(
        "No acute cardiopulmonary abnormality is seen.",
        "No acute disease.",
        "Heart and lungs are normal.",
    ),
)

WORDINGS = {"train": TRAIN, "held_out": HELD_OUT}


def _sentence(rng: np.random.Generator, templates: tuple[str, ...], fact: Fact | None = None) -> str:
    template = templates[rng.integers(len(templates))]
    if fact is None:
        return template
    size = GRADE_AS_SIZE.get(fact.severity, fact.severity)
    text = template.format(side=fact.side, zone=fact.zone, severity=fact.severity, size=size)
    return text[0].upper() + text[1:]


def write_report(facts: Iterable[Fact], rng: np.random.Generator, wordings: str = "train") -> str:
    """Word the facts as one line, "FINDINGS: ... IMPRESSION: ...", with single spaces.

    The findings go heart, pleura, lungs; an organ without a fact gets one sentence that says it is normal. The
    impression repeats each fact without its severity, or says that there is nothing acute.

    Args:
        facts: the findings, in any order.
        rng: chooses among the wordings.
        wordings: "train" or "held_out".

    Raises:
        InputError: unknown wordings.
    """
    if wordings not in WORDINGS:
        raise InputError("wordings", repr(wordings), " or ".join(WORDINGS), "name one of the two")
    words = WORDINGS[wordings]
    ordered = report_order(facts)
    sentences = ["FINDINGS:"]
    for organ, normal in words.normal.items():
        affected = [fact for fact in ordered if KINDS[fact.kind].organ == organ]
        sentences += [_sentence(rng, words.findings[fact.kind], fact) for fact in affected]
        if not affected:
            sentences.append(_sentence(rng, normal))
    sentences.append("IMPRESSION:")
    sentences += [_sentence(rng, words.impression[fact.kind], fact) for fact in ordered]
    if not ordered:
        sentences.append(_sentence(rng, words.nothing))
    return " ".join(sentences)
