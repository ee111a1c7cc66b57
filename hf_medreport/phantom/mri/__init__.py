"""An axial MRI slice of the brain, drawn from one finding; see `hf_medreport.phantom.picture`.

As a FLAIR sequence shows it: fluid in the ventricles black, lesions bright. The patient's right is on the picture's
left, the forehead up.
"""

__all__ = ["drawing", "findings"]
