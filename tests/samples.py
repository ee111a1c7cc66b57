"""One sample for each shipped report model, as its processor gives it."""

from PIL import Image

from hf_medreport.inference.loading import load
from hf_medreport.registry import System
from tests.tiny import film_array, tissue_array


def shipped_inputs(row: System) -> dict:
    """A gray film, or of a model that reads slides a piece of stained tissue with its resolution."""
    slide = row.reads == "slide"
    sample = Image.fromarray(tissue_array(512) if slide else film_array())
    return dict(load(row.checkpoint, device="cpu").preprocess(sample, {"slide_mpp": 1.0} if slide else {}))
