"""Case i of a split of slides is the same for everyone, and splits share no patient."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from hf_medreport.phantom.slide.corpus import SPLITS, SlideCorpus
from hf_medreport.phantom.slide.findings import SlideFacts
from hf_medreport.phantom.slide.parser import parse_slide_report
from hf_medreport.processing.input_error import InputError

FACTS = SlideFacts("lung", "adenocarcinoma", 2, "focal", "mild", 4, "negative", 1.5, 1, 3)


def content(case):
    return case.case_id, case.patient, case.facts, case.report


def test_a_case_does_not_depend_on_access_length_or_process():
    corpus = SlideCorpus(6, seed=5)
    forwards = [content(corpus[i]) for i in range(6)]
    backwards = [content(corpus[i]) for i in reversed(range(6))][::-1]
    longer, elsewhere = SlideCorpus(100, seed=5), pickle.loads(pickle.dumps(corpus))
    assert forwards == backwards == [content(longer[i]) for i in range(6)] == [content(elsewhere[i]) for i in range(6)]
    assert content(corpus[-1]) == forwards[-1] and content(corpus[np.int64(2)]) == forwards[2]
    assert len(corpus) == 6 == len(list(corpus))
    with pytest.raises(IndexError):
        corpus[6]


def test_the_first_case_is_pinned():
    case = SlideCorpus(1, seed=0)[0]
    assert (case.case_id, case.patient) == ("phantom-slide-train-0-000000", 2635072618980576772)
    assert case.facts == SlideFacts("colon", "adenocarcinoma", 2, "extensive", "mild", 10, "negative", 4.9, 4, 6)
    assert case.report == (
        "The colon contains a moderately differentiated adenocarcinoma. The tumor is 4.9 cm in diameter. Margins are "
        "free of tumor. There are 10 mitoses per 10 high-power fields. Extensive tumor necrosis is present and mild "
        "lymphocytic inflammation is present. Tumor is present in 4/6 lymph nodes."
    )


def test_splits_and_seeds_share_no_patient():
    every = [content(SlideCorpus(8, seed, split=split)[i]) for split in SPLITS for seed in (0, 1) for i in range(8)]
    assert len({case[0] for case in every}) == len({case[1] for case in every}) == len(every)


def test_the_defaults_of_each_split():
    chosen = {name: SlideCorpus(1, 0, split=name) for name in SPLITS}
    assert {name: (c.prevalence, c.wordings, c.style) for name, c in chosen.items()} == {
        "train": ("balanced", "train", "standard"),
        "validation": ("natural", "train", "standard"),
        "test": ("natural", "held_out", "standard"),
        "held_back_style": ("natural", "held_out", "held_back"),
    }


def test_wordings_change_the_report_and_size_and_style_do_not():
    plain, worded = SlideCorpus(8, 0, split="test"), SlideCorpus(8, 0, split="test", wordings="train")
    large = SlideCorpus(8, 0, 4096, 0.5, "test", style="held_back")
    for one, other, third in zip(plain, worded, large, strict=True):
        assert one.facts == other.facts and one.patient == other.patient and one.report != other.report
        assert content(one) == content(third)


def test_the_report_says_what_is_drawn():
    for split in SPLITS:
        for case in SlideCorpus(30, 1, split=split):
            assert parse_slide_report(case.report) == case.facts.facts


def test_given_facts_are_what_every_slide_shows():
    cases = list(SlideCorpus(5, 0, facts=FACTS))
    assert {case.facts for case in cases} == {FACTS} and len({case.patient for case in cases}) == 5


def test_the_drawing_is_that_of_the_case():
    corpus = SlideCorpus(2, 0, size=256, mpp=2.0, facts=FACTS)
    case = corpus[1]
    drawing = case.drawing
    assert drawing is case.drawing
    assert (drawing.facts, drawing.size, drawing.mpp) == (FACTS, 256, 2.0)
    pixels = [one.drawing.region(64, 64, 64, 64) for one in (case, corpus[1], corpus[0])]
    assert np.array_equal(pixels[0], pixels[1]) and not np.array_equal(pixels[0], pixels[2])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"n": 0}, "n: found 0; expected at least 1 case; ask for one or more cases"),
        ({"n": 2.5}, "n: found 2.5; expected at least 1 case; ask for one or more cases"),
        ({"seed": -1}, "seed: found -1; expected a whole number from 0; choose another seed"),
        (
            {"split": "dev"},
            "split: found 'dev'; expected one of train, validation, test, held_back_style; name a known split",
        ),
        ({"size": 255}, "size: found 255; expected 256 to 131072 whole px; choose another size"),
        ({"size": 512.5}, "size: found 512.5; expected 256 to 131072 whole px; choose another size"),
        ({"mpp": 0}, "mpp: found 0; expected 0.2 to 4.0 um a pixel; choose another mpp"),
        ({"mpp": "0.5"}, "mpp: found '0.5'; expected 0.2 to 4.0 um a pixel; choose another mpp"),
        ({"prevalence": "rare"}, "prevalence: found 'rare'; expected balanced or natural; name one of the two"),
        ({"wordings": "test"}, "wordings: found 'test'; expected train or held_out; name one of the two"),
        ({"style": "sepia"}, "style: found 'sepia'; expected one of standard, held_back; name a known style"),
        ({"facts": "grade 2"}, "facts: found str; expected SlideFacts; give the facts of one slide"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InputError) as error:
        SlideCorpus(**({"n": 4, "seed": 0} | arguments))
    assert str(error.value) == message


def test_words_need_neither_torch_nor_a_drawing_library():
    code = (
        "import sys, hf_medreport.phantom.slide.corpus as c, hf_medreport.phantom.slide.score; c.SlideCorpus(2, 0)[1];"
    )
    code += "sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
