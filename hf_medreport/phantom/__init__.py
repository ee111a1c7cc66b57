"""The known-truth chest: films drawn from a list of findings, with masks, a report and a score.

Patient data is locked away, so a reader of this library would otherwise test on nothing. Here the truth is known by
construction: `draw_facts` chooses findings, `draw_frontal` draws a film that shows each of them, `write_report` words
them, `parse_report` reads such a text back, and `score_facts` compares what a model said with what was drawn, fact by
fact. `ChestCorpus` strings these together into splits whose patients never meet.

What it can show: that a model uses the picture, tells left from right, and states neither more nor less than is there;
and that a change to the code did not break this.

What it cannot show: anything about patients. The anatomy is a few curves, each finding has one textbook look, the
reports use some hundred words, and nothing in a film lies outside the list of findings. A perfect score here says
that the machinery works. It is a test bench and never a clinical claim.

    >>> from hf_medreport.phantom.corpus import ChestCorpus
    >>> case = ChestCorpus(n=8, seed=0, split="test")[3]
    >>> case.image.shape
    (160, 160)
"""

__all__ = ["chest", "corpus", "findings", "grammar", "parser", "score"]
