"""Brings committed files to today's names of arguments and scripts; no figure changes. Again, it changes nothing.

    python .ci/rename_keys.py

- Training YAMLs: `phantom_films` and its like become `phantom_cases`.
- Results of experiments: the digest of a YAML's bytes becomes that of what it says, once the YAML with its names undone
  is shown to have the recorded bytes; `mode` becomes `arm`.
- Commands that printed a figure, wherever one stands: the benchmarks' scripts lie in `speed/` and `experiments/`.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "benchmarks" / "experiments")]
from runner import config_digest  # noqa: E402

NOUNS = {"histgen": "slides", "cxr_multitask": "cases"}  # what each system's cases were called; films by default
ROOMS = {
    path.stem: path.parent.name for room in ("speed", "experiments") for path in ROOT.glob(f"benchmarks/{room}/*.py")
}
KEY = r"^(phantom|phantom_validation|evaluation)_({}):"
SCRIPT = re.compile(rf"benchmarks/({'|'.join(ROOMS)})\.py")
BYTES_DIGESTS = {
    "562a740f402ace0e0b1d4fdba5d3155bce0054e03208e1f6395587f6e1eeedfd": "anatomical_ablation.yaml",
    "c90c63e6c7645b81439eac933f6c41f09085f11c0a2c056718bbb32b8cab14bb": "cxr_multitask_ablation.yaml",
    "60ca8e8182e6076facbdcdbd1c67a49805ca4297409ee58ebb8e14ee4e278f2e": "radscribe_ablation.yaml",
    "012f86aee7eed3cf58b1e965424d985397ad284f19adc90adde10c079b1f6426": "radscribe_ablation_vit.yaml",
}


def renamed(text: str, path: Path) -> str:
    """A committed file's text in today's names."""
    text = SCRIPT.sub(lambda found: f"benchmarks/{ROOMS[found[1]]}/{found[1]}.py", text)
    if path.suffix == ".yaml":
        return re.sub(KEY.format("films|slides"), r"\1_cases:", text, flags=re.M)
    if path.suffix == ".json":
        text = re.sub(r'^\{"mode": ', '{"arm": ', text)
        for digest, name in BYTES_DIGESTS.items():
            if digest in text:
                assert hashlib.sha256(undone(ROOT / "examples" / name)).hexdigest() == digest, (
                    f"{name} says other things"
                )
                text = text.replace(digest, config_digest(ROOT / "examples" / name))
    return text


def undone(path: Path) -> bytes:
    """A YAML in the names that it had."""
    noun = next((noun for system, noun in NOUNS.items() if path.name.startswith(system)), "films")
    text = re.sub(
        r"^(phantom|phantom_validation|evaluation)_cases:", rf"\1_{noun}:", path.read_text("utf-8"), flags=re.M
    )
    return re.sub(r"benchmarks/(speed|experiments)/", "benchmarks/", text).encode()


def numbers(found) -> list:
    """Every number of a JSON document, in its order."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list):
        return [number for part in found for number in numbers(part)]
    return [found] if isinstance(found, int | float) else []


def changes() -> dict[Path, str]:
    """Committed files that still have old names, with their text in today's; the YAMLs come first, where there are any.

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
        after = renamed(before, path)
        if after != before:
            assert path.suffix != ".json" or numbers(json.loads(before)) == numbers(json.loads(after)), path
            found[path] = after
    yamls = {path: text for path, text in found.items() if path.suffix == ".yaml"}
    return yamls or found  # the digests in results are of the renamed YAMLs


def main() -> None:
    while found := changes():
        for path, text in found.items():
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
