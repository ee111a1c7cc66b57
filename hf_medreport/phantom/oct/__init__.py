"""An OCT B-scan through the fovea, drawn from one finding; see `hf_medreport.phantom.picture`.

The side is that of the eye: the nerve fiber layer is thicker toward the nose, which is the picture's right in a right
eye. Bright is what scatters much: nerve fibers above, pigment epithelium below.
"""

__all__ = ["drawing", "findings"]
