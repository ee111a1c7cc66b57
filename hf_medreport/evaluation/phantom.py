"""Score a report model on films whose truth is known."""

from tqdm import tqdm

from hf_medreport.inference.report import model_name, needs_masks
from hf_medreport.phantom.corpus import ChestCorpus
from hf_medreport.phantom.parser import parse_report
from hf_medreport.phantom.score import score_facts


def evaluate_phantom(
    pipe,
    *,
    n: int = 200,
    seed: int = 1,
    split: str = "test",
    prevalence: str | None = None,
    batch_size: int = 16,
    progress: bool = True,
) -> dict:
    """Facts that the model states in its reports of phantom films, against the facts that the films were drawn from.

    Args:
        pipe: from `hf_medreport.inference.loading.load`; a model that has no segmenter is given the true masks.
        n, seed, split, prevalence: of `ChestCorpus`; the films are drawn at the model's image size.
        batch_size: films a pass.

    Returns:
        `{"n", "exact": {"precision", "recall", "f1"}, "kind": {..., "by_kind"}, "hallucination_rate",
        "wrong_side_rate"}`, micro-averaged, with the denominators of `score_facts`:

        - precision: right facts / stated facts; recall: right facts / true facts. `exact` asks for kind, side, zone and
          severity, `kind` for the kind only.
        - hallucination_rate: stated facts whose kind the film does not show / stated facts.
        - wrong_side_rate: stated facts whose kind the film shows on the other side only / stated facts that have a side
          and whose kind the film shows.

        A rate of 0 / 0 is None. Beside them `seed`, `split`, `model`, the `command` that prints the same, and
        `constant_report`: the same scores for a report that calls every film normal.

    Raises:
        InputError: an unknown split or a number of films below 1.
    """
    size = pipe.processor.image_processor.size
    corpus = ChestCorpus(n=n, seed=seed, size=size, split=split, prevalence=prevalence)
    stated, truth = [], []
    for start in tqdm(range(0, n, batch_size), desc="reporting phantom films", disable=not progress):
        cases = [corpus[index] for index in range(start, min(start + batch_size, n))]
        films = [case.image for case in cases]
        if needs_masks(pipe):
            films = [{"frontal": case.image, "mask": case.lungs | case.heart} for case in cases]
        records = pipe(films, batch_size=len(cases))
        stated += [parse_report(record[0]["generated_text"]) for record in records]
        truth += [frozenset(case.facts) for case in cases]
    flags = f"--n {n} --seed {seed} --split {split}" + (f" --prevalence {prevalence}" if prevalence else "")
    return {
        **score_facts(stated, truth),
        "seed": seed,
        "split": split,
        "model": model_name(pipe),
        "command": f"hf-medreport evaluate phantom --model {model_name(pipe)} {flags} --json",
        "constant_report": score_facts([frozenset()] * n, truth),
    }
