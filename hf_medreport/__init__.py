"""Medical images to reports, and descriptions to medical images, with Hugging Face parts.

Importing this package imports neither torch nor transformers: a class is loaded when its name is first used.

    from hf_medreport import report
    report(["chest.png"])[0].text
"""

from hf_medreport.version import __version__

__all__ = ["__version__"]
