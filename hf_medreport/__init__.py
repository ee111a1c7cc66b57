"""Medical images to reports, and descriptions to medical images, with Hugging Face parts.

Importing this package imports neither torch nor transformers: a name is loaded when it is first used.

    import hf_medreport
    pipe = hf_medreport.load()                      # the shipped model, a folder or a repository
    pipe("chest.png")                               # [{"generated_text": "..."}]
    for report in hf_medreport.report_any(["a.png", "b.dcm"], pipe):
        print(report.film, report.text)
"""

import importlib

from hf_medreport.version import __version__

_LAZY = {
    "load": "hf_medreport.inference.loading",
    "load_segmenter": "hf_medreport.inference.loading",
    "report_any": "hf_medreport.inference.report_any",
    "report_films": "hf_medreport.inference.report_films",
    "report_pairs": "hf_medreport.inference.report_pairs",
    "report_slides": "hf_medreport.inference.report_slides",
    "segment_films": "hf_medreport.inference.segment",
    "load_generator": "hf_medreport.inference.generators",
    "synthesize": "hf_medreport.inference.synthesize",
    "ReportFolder": "hf_medreport.inference.report_folder",
    "evaluate_drawn": "hf_medreport.evaluation.phantom.evaluate",
    "evaluate_phantom": "hf_medreport.evaluation.phantom.films",
    "evaluate_slides": "hf_medreport.evaluation.phantom.slides",
}
__all__ = ["__version__", *_LAZY]


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module 'hf_medreport' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)
