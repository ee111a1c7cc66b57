"""Reports of the shipped model for drawn films, as `hf-medreport evaluate reports` reads them.

python examples/predict_phantom.py --n 200 --out predictions.jsonl
"""

import argparse
import json
from pathlib import Path

from hf_medreport import load
from hf_medreport.phantom.chest.corpus import ChestCorpus

BATCH = 50


def main(model: str | None, split: str, n: int, out: Path) -> None:
    pipe = load(model)
    corpus = ChestCorpus(n, seed=1, size=pipe.processor.image_processor.size, split=split, prevalence="balanced")
    cases = list(corpus)
    with out.open("w", encoding="utf-8") as file:
        for start in range(0, n, BATCH):
            batch = cases[start : start + BATCH]
            for case, said in zip(batch, pipe([case.image for case in batch], batch_size=BATCH), strict=True):
                row = {"id": case.patient_id, "prediction": said[0]["generated_text"], "reference": case.report}
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="A shipped model, a folder or ORG/NAME. Default: anatomical-tiny.")
    parser.add_argument("--split", default="test", help="test or held_back_style")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("predictions.jsonl"))
    arguments = parser.parse_args()
    main(arguments.model, arguments.split, arguments.n, arguments.out)
