"""Reports to compare metrics on: awkward ones written out, and generated ones."""

from hypothesis import strategies as st

# (prediction, references)
AWKWARD = [
    ("", [""]),
    ("", ["The heart is normal."]),
    ("The heart is normal.", [""]),
    ("normal", ["normal"]),
    ("normal", ["abnormal"]),
    ("Normal heart.", ["normal heart"]),
    ("the the the the the the the", ["the cat is on the mat", "there is a cat on the mat"]),
    ("no no no effusion effusion", ["no effusion", "no pleural effusion , no effusion"]),
    ("Kein Pleuraerguß, größere Übersicht; naïve café", ["kein pleuraerguß größere übersicht", "NAÏVE CAFÉ"]),
    ("心臓は正常です 。 🫀 ok", ["心臓は 正常です", "🫀 ok"]),
    ("A 1.5 cm nodule (right), &lt;2 mm &amp; 3-4 x-rays at 12:30.\nNo change -\nstable.", ["1.5 cm nodule; 3-4 mm"]),
    ("  leading,  double  blanks\tand tabs  ", ["leading double blanks and tabs"]),
    ("opacities opacity effusions stably enlarged", ["opacity opacities effusion stable enlarging"]),
    ("left right left right " * 300, ["right left " * 400 + "end", "left " * 700]),
]
WORDS = ["the", "heart", "is", "normal", "no", "effusion", "effusions", "left", "right", "enlarged", "größe", "1.5"]

texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
pairs = st.tuples(texts, st.lists(texts, min_size=1, max_size=3))
corpora = st.lists(pairs, min_size=1, max_size=6)


def split(corpus):
    """Predictions and references of a corpus of (prediction, references)."""
    return [said for said, _ in corpus], [list(given) for _, given in corpus]


def coco_form(corpus, words):
    """(references, predictions) as pycocoevalcap wants them: id -> tokenized texts."""
    joined = [(" ".join(words(said)), [" ".join(words(text)) for text in given]) for said, given in corpus]
    return {i: given for i, (_, given) in enumerate(joined)}, {i: [said] for i, (said, _) in enumerate(joined)}
