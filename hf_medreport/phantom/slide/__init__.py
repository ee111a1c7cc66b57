"""The known-truth slide: sections drawn in the colors of H&E from one record of findings, with a report and a score.

As `hf_medreport.phantom.chest`, for whole slides: `findings` says what a slide can show, `patients` chooses it,
`drawing` paints it tile by tile, `grammar` words it, `parser` reads such a text back, `score` compares what a model
said with what was drawn, and `corpus` strings these into splits whose patients never meet.

What it can show: that a model uses the tiles, at the scale where the finding lies (cells for grade and mitoses, areas
for necrosis, the whole section for size, margin and nodes); that its report states neither more nor less than is
there, numbers included; that a change to the code did not break this.

What it cannot show:

- anything about patients: no figure on these slides says how a model does on real ones;
- variety: four sites, a handful of diagnoses, one textbook look for each and grades that keep clear of each other. What
  makes a pathologist's day is not here: borderline lesions, mixed types, in situ disease, lymphovascular invasion,
  treatment effect, immunohistochemistry, staging;
- true extent: a section of any pixel size stands for 6 cm of the specimen, while cells keep their true size at the
  given um per px. Sizes in cm are drawn to this compressed scale: a tumor of 1.5 cm takes a quarter of the section's
  width and holds far fewer cells than in life, and no number of pixels per cm holds for slides of two sizes;
- the specimen: one section holds the tumor, its margin and all lymph nodes, where a case has dozens of slides, and
  much of a real report comes from the gross description and not from glass;
- disagreement: the report says all that was drawn and nothing else. Pathologists differ on grade and count mitoses in
  the fields that they choose; here the count is that of the record;
- language: the reports are summaries of three to seven sentences from some hundred words of English;
- rarity: natural prevalence has plausible couplings (grade with mitoses and necrosis, size with nodes), set by hand.

A perfect score here says that the machinery works. It is a test bench and never a clinical claim.

    >>> from hf_medreport.phantom.slide.corpus import SlideCorpus
    >>> case = SlideCorpus(n=8, seed=0, split="test")[3]
    >>> case.facts.site in case.report.lower()
    True
"""

__all__ = ["corpus", "drawing", "findings", "grammar", "parser", "patients", "score"]
