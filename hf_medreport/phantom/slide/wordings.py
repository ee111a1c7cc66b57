"""The sentence templates of the slide's reports, in two sets that share their words but no sentence.

Each template is a clause; the grammar ends it as a sentence or joins two of them. The slots:

- `{site}`, `{diagnosis}`, `{grade}` (1 to 3), `{differentiated}`: the grade in words (well, moderately, poorly)
- `{degree}`: how much necrosis or inflammation; `{size}`: "1.5 cm"; `{nodes}`: "0/3"
- `{count}`: "4"; `{mitoses}`: "4 mitoses", "1 mitosis"; `{are}`: what agrees with it

No clause that may open a sentence begins with a number: set apart by a tokenizer, "grade 2 . 4 mitoses" would read as
grade 2.4.
"""

from dataclasses import dataclass

__all__ = ["WORDINGS", "SlideWordings", "Templates"]

Templates = tuple[str, ...]


@dataclass(frozen=True)
class SlideWordings:
    """The templates of one set.

    Attributes:
        tumor, benign: what opens the report: site and diagnosis, of a tumor its grade too.
        size, mitoses: of a tumor.
        margin: by its status.
        necrosis, inflammation: where there is some.
        no_necrosis, no_inflammation: where there is none.
        nodes, no_nodes: where lymph nodes were examined, and where none were.
        joints: what stands between two clauses of one sentence.
    """

    tumor: Templates
    benign: Templates
    size: Templates
    mitoses: Templates
    margin: dict[str, Templates]
    necrosis: Templates
    no_necrosis: Templates
    inflammation: Templates
    no_inflammation: Templates
    nodes: Templates
    no_nodes: Templates
    joints: Templates


TRAIN = SlideWordings(
    tumor=(
        "the {site} specimen shows {diagnosis}, grade {grade}",
        "{diagnosis} of the {site}, grade {grade}",
        "sections of the {site} show a {differentiated} differentiated {diagnosis}, grade {grade}",
        "the {site} contains a {differentiated} differentiated {diagnosis}",
    ),
    benign=(
        "the {site} specimen shows no malignancy",
        "benign tissue of the {site}",
        "sections of the {site} show no evidence of malignancy",
    ),
    size=(
        "the tumor measures {size} in greatest dimension",
        "tumor size is {size}",
        "the tumor is {size} in diameter",
    ),
    mitoses=(
        "there {are} {mitoses} per 10 high-power fields",
        "the mitotic count is {count} per 10 high-power fields",
        "the tumor shows {mitoses} per 10 high-power fields",
    ),
    margin={
        "negative": (
            "the surgical margins are negative",
            "margins are free of tumor",
            "the margins are negative for tumor",
        ),
        "positive": (
            "the surgical margin is positive",
            "tumor is present at the margin",
            "the margin is positive for tumor",
        ),
    },
    necrosis=("there is {degree} necrosis", "{degree} tumor necrosis is present"),
    no_necrosis=("there is no necrosis", "necrosis is absent"),
    inflammation=("there is {degree} inflammation", "{degree} lymphocytic inflammation is present"),
    no_inflammation=("there is no inflammation", "inflammation is absent"),
    nodes=(
        "tumor is present in {nodes} lymph nodes",
        "lymph nodes with metastasis: {nodes}",
        "metastasis is found in {nodes} lymph nodes",
    ),
    no_nodes=("no lymph nodes are submitted", "lymph nodes are not submitted"),
    joints=(" and ",),
)

HELD_OUT = SlideWordings(
    tumor=(
        "the {site} shows grade {grade} {diagnosis}",
        "the tumor of the {site} is {diagnosis}, grade {grade}",
        "{differentiated} differentiated {diagnosis} is present in the {site}",
        "there is {diagnosis} in the {site} specimen, {differentiated} differentiated",
    ),
    benign=(
        "the {site} is negative for malignancy",
        "no malignancy is found in the {site} specimen",
        "the {site} shows benign tissue",
    ),
    size=(
        "the greatest dimension of the tumor is {size}",
        "there is a tumor of {size}",
        "the size of the tumor is {size}",
    ),
    mitoses=(
        "a mitotic count of {count} per 10 high-power fields is present",
        "mitotic count: {count} per 10 high-power fields",
        "per 10 high-power fields the tumor shows {mitoses}",
    ),
    margin={
        "negative": (
            "surgical margins: negative",
            "there is no tumor at the margins",
            "the surgical margins are free",
        ),
        "positive": (
            "surgical margin: positive",
            "there is tumor at the margin",
            "the surgical margin shows tumor",
        ),
    },
    necrosis=("necrosis is {degree}", "the specimen shows {degree} necrosis"),
    no_necrosis=("no necrosis is found", "the specimen shows no necrosis"),
    inflammation=("inflammation is {degree}", "the specimen shows {degree} inflammation"),
    no_inflammation=("no inflammation is found", "the specimen shows no inflammation"),
    nodes=(
        "positive lymph nodes: {nodes}",
        "metastasis is present in lymph nodes: {nodes}",
        "lymph nodes show tumor in {nodes}",
    ),
    no_nodes=("lymph nodes are absent", "the specimen shows no lymph nodes"),
    joints=(", and ", ", "),
)

WORDINGS = {"train": TRAIN, "held_out": HELD_OUT}
