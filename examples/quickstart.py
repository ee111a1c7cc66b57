# %% [markdown]
# # hf-medreport in five minutes
#
# A film, a pair of films and a slide become reports, and two systems are judged by what is known of drawn films. All of
# it is drawn by a program: no patient's picture is needed, and no connection. A test bench, no clinical use.
#
#     python examples/quickstart.py

# %%
from pathlib import Path
from tempfile import mkdtemp

from PIL import Image

from hf_medreport import evaluate_phantom, load, report_films, report_pairs, report_slides
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.frontal import draw_frontal
from hf_medreport.phantom.chest.lateral import draw_lateral
from hf_medreport.phantom.slide.corpus import SlideCorpus

folder = Path(mkdtemp())

# %% [markdown]
# ## A film
#
# Draw one of which we know what it shows, and ask the shipped model. Every sentence says where on the film it came
# from.

# %%
facts = [Fact("pleural_effusion", "left", severity="severe"), Fact("cardiomegaly", severity="severe")]
film = folder / "film.png"
Image.fromarray(draw_frontal(facts, patient=1, size=512).image).save(film)

(report,) = report_films([film], load())
print(report.to_text())
for sentence in report.sentences:
    row, column = divmod(int(sentence.evidence.argmax()), sentence.evidence.shape[1])
    print(f"{sentence.text:50} strongest at row {row}, column {column} of {sentence.evidence.shape}")
report.figure().savefig(folder / "film_report.png")

# %% [markdown]
# ## A frontal and a lateral film
#
# The model of two views says whether anything is abnormal, and draws again what it saw.

# %%
lateral = folder / "lateral.png"
Image.fromarray(draw_lateral(facts, patient=1, size=512).image).save(lateral)

(pair,) = report_pairs([(film, lateral)], load("cxr-multitask-tiny"))
print(pair.to_text())

# %% [markdown]
# ## A slide
#
# A picture without a resolution is told one: 1 um a pixel.

# %%
case = SlideCorpus(n=1, seed=3, size=1024, mpp=1.0, split="test")[0]
slide = folder / "slide.png"
Image.fromarray(case.drawing.region(0, 0, case.size, case.size)).save(slide)

(pathology,) = report_slides([slide], load("histgen-tiny"), slide_mpp=1.0)
print(pathology.to_text())
print("drawn:", case.report)

# %% [markdown]
# ## Two systems judged
#
# Facts stated against facts drawn, with 95 % intervals, beside the constant answer and the model without its picture: a
# figure says something only beside these. More films make the intervals narrower.

# %%
for name in ("anatomical-tiny", "cxr-multitask-tiny"):
    scores = evaluate_phantom(load(name), n=20, progress=False)
    low, high = scores["intervals"]["exact.f1"]
    blind = scores["blinded"]["exact"]["f1"]
    print(f"{name:20} F1 {scores['exact']['f1']:.2f} [{low:.2f}, {high:.2f}], without its picture {blind or 0:.2f}")
