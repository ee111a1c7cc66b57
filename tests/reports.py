"""Reports made by hand, for what draws and writes them."""

import numpy as np

from hf_medreport.inference.report import Report, Sentence
from tests.tiny import film_array


def a_sentence(text: str, mean_logprob: float = -0.1, start: int = 0) -> Sentence:
    """A sentence of the findings, with an even map."""
    span = {"section": "findings", "start": start, "end": start + len(text)}
    return Sentence(text=text, **span, mean_logprob=mean_logprob, evidence=np.eye(4) / 4)


def a_report(text: str = "", sentences=(), **fields) -> Report:
    """A report of the film f.png."""
    source = {"film": "f.png", "film_sha256": "0", "model": "m", "revision": "r", "image": film_array() / 255}
    return Report(text=text, sections=(), sentences=list(sentences), **source | fields)
