"""A fundus photograph, drawn from one finding; see `hf_medreport.phantom.picture`.

In color. The side is that of the eye: the optic disc lies toward the nose, which is the picture's right in a right eye.
Superior is up.
"""

__all__ = ["drawing", "findings"]
