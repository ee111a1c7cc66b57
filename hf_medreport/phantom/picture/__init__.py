"""The known-truth picture: one of five modalities, drawn from one finding, with a prompt that asks for it.

Where the chest and the slide test models that read, this tests models that draw: whoever asks for "a severe subdural
hematoma on the left" can look whether it is there. `modality` says what a finding of a modality can be, `facts` what
one picture shows, `prompts` words it, `canvas` is what all drawers draw on, and `corpus` strings these into splits
whose patients never meet. The drawers have rooms of their own: `ct`, `mri`, `oct` and `fundus`; a film is the chest's.

What it can show: that a generator draws modality, finding, side, zone and grade as asked.

What it cannot show:

- anything about patients: no figure on these pictures says how a generator does on real ones;
- variety: one slice, one look of each finding in three grades that keep clear of each other, one finding a picture;
- detail: the pictures are made to be told apart at 64 px. Real pictures of these modalities are not;
- language: a prompt is one phrase of some hundred words of English, without negation but for "no finding".

    >>> from hf_medreport.phantom.picture.corpus import PictureCorpus
    >>> case = PictureCorpus(n=8, seed=0, size=64, modalities=("mri",))[3]
    >>> case.image.shape, case.fact.modality
    ((64, 64), 'mri')
"""

__all__ = ["canvas", "corpus", "facts", "film", "modality", "prompts"]
