"""Brings committed files to today's names; no figure changes. Again, it changes nothing.

    python .ci/rename_keys.py

- Training YAMLs: `phantom_films` and its like become `phantom_cases`; terms as below.
- Results of experiments: `mode` becomes `arm`.
- Commands that printed a figure, wherever one stands: the benchmarks' scripts lie in `speed/` and `experiments/`.
- Results, the shipped models' scores and their cards: American spelling, `classification` for the task that was called
  `verdict`, reconstructed films, and labels that a model was given.
"""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = {
    path.stem: path.parent.name for room in ("speed", "experiments") for path in ROOT.glob(f"benchmarks/{room}/*.py")
}
KEY = re.compile(r"^(phantom|phantom_validation|evaluation)_(films|slides):", flags=re.M)
SCRIPT = re.compile(rf"benchmarks/({'|'.join(ROOMS)})\.py")
HELD = re.compile(
    r"benchmarks/results/|hf_medreport/checkpoints/[^/]+/(README\.md|evaluation\.json)$|examples/.*\.yaml$"
)
TERMS = {
    "randomised": "randomized",
    "tumour": "tumor",
    "optimiser": "optimizer",
    "Licence": "License",
    "summarise": "summarize",
    "verdict": "classification",
    "redraws": "reconstructs",
}
TERM = re.compile(rf"(?<![a-z])({'|'.join(TERMS)})(?![a-z])")
# As the card's template has them, with their lines.
PHRASES = {
    r"\b(frontal|lateral) film redrawn": r"reconstructed \1 film",
    r"# the films redrawn, from 0 to 1": "# from 0 to 1",
    r"- redrawn films (.* The mean film is) that of\n  the": r"- reconstructed films \1\n  that of the",
    r"(- classification: .* an abnormal) and a normal\n  case (.* abnormal) cases as the\n  probability": (
        r"\1\n  and a normal case \2\n  cases as the probability"
    ),
    r"\b(the writer is|it was|the model was) told\b": r"\1 given",
}


def renamed(text: str, path: Path) -> str:
    """A committed file's text in today's names."""
    text = SCRIPT.sub(lambda found: f"benchmarks/{ROOMS[found[1]]}/{found[1]}.py", text)
    if path.suffix == ".yaml":
        text = KEY.sub(r"\1_cases:", text)
    if path.suffix == ".json":
        text = re.sub(r'^\{"mode": ', '{"arm": ', text)
    if HELD.search(path.as_posix()):
        text = TERM.sub(lambda found: TERMS[found[1]], text)
        for old, new in PHRASES.items():
            text = re.sub(old, new, text)
    return text


def todays_name(name: str) -> str:
    """A committed file's path: a result is called after its arm."""
    return name.replace("joint_training/verdict-alone", "joint_training/classification-alone")


def numbers(found) -> list:
    """Every number of a JSON document, in its order."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list):
        return [number for part in found for number in numbers(part)]
    return [found] if isinstance(found, int | float) else []


def figures(text: str, path: Path) -> list:
    """What must stay: the numbers of a JSON document, all digits of a card."""
    if path.suffix == ".json":
        return numbers(json.loads(text))
    return re.findall(r"\d+", text) if path.suffix == ".md" else []


def changes() -> dict[str, tuple[str, str]]:
    """Committed files that still have old names: {path: (path, text) of today}.

    Raises:
        AssertionError: a number would change.
    """
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {}
    for name in listed.splitlines():
        path = ROOT / name
        if (
            not name.endswith((".yaml", ".json", ".md", ".py", "Makefile"))
            or "rename_keys" in name
            or not path.exists()
        ):
            continue
        before = path.read_text(encoding="utf-8")
        after = renamed(before, Path(name))
        if (after, todays_name(name)) != (before, name):
            assert figures(before, path) == figures(after, path), path
            found[name] = (todays_name(name), after)
    return found


def main() -> None:
    for name, (todays, text) in changes().items():
        (ROOT / name).write_text(text, encoding="utf-8")
        if todays != name:
            subprocess.run(["git", "mv", name, todays], cwd=ROOT, check=True)
        print(todays)


if __name__ == "__main__":
    main()
