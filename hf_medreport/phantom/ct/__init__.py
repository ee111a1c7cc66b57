"""An axial CT slice of the chest at the level of the heart, drawn from one finding; see `hf_medreport.phantom.picture`.

The patient's right is on the picture's left, as slices are shown. Air is black, fluid and muscle gray, bone white, in
one window for lung and soft tissue, which no workstation has.
"""

__all__ = ["drawing", "findings"]
