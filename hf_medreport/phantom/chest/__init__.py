"""The known-truth chest: films drawn from a list of findings, with masks, a report and a score.

Patient data is locked away, so a reader of this library would otherwise test on nothing. Here the truth is known by
construction: `patients` chooses findings, `frontal` and `lateral` draw films that show each of them and a mask of
where, `grammar` words them, `parser` reads such a text back, and `score` compares what a model said with what was
drawn, fact by fact. `corpus` strings these together into splits whose patients never meet.

What it can show: that a model uses the picture, tells left from right, and states neither more nor less than is there;
that a change to the code did not break this; and that its evidence falls where the finding is.

What it cannot show:

- anything about patients: no figure on these films says how a model does on real ones;
- variety: the anatomy is a few curves of an adult standing upright, each finding has one textbook look in three grades
  that keep clear of each other, and nothing in a film lies outside the list of findings: no hair, jewellery,
  collimator, earlier surgery, motion, or disease that the list does not have;
- disagreement: the report says all that was drawn and nothing else. Radiologists differ, forget, and know more than
  the film; "possible" here is a fainter shadow, not a second opinion;
- causes: shadows add up in one plane. There is no scatter from depth, no beam energy, no magnification, and a lateral
  film agrees with its frontal in heights and sides, not voxel by voxel;
- language: the reports use some hundred words of English, and no indication, history or technique; sentences do not
  know of each other, so that a diaphragm "in normal position" may stand beside overexpanded lungs;
- outlines: the frontal mask of a tortuous aorta is a box around the arch and descending part, that of a raised
  diaphragm a band below the dome;
- time: a follow-up changes by one grade; there is no course of a disease;
- rarity: natural prevalence gives each kind its share in one archive, and a few plausible companions; all else about
  who has what with what is chance.

A perfect score here says that the machinery works. It is a test bench and never a clinical claim.

    >>> from hf_medreport.phantom.chest.corpus import ChestCorpus
    >>> case = ChestCorpus(n=8, seed=0, split="test")[3]
    >>> case.image.shape
    (160, 160)
"""

__all__ = ["corpus", "findings", "frontal", "grammar", "lateral", "parser", "patients", "score"]
