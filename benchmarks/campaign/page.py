"""The campaign's results, from their JSON into the table of docs/hostile.md.

python benchmarks/campaign/page.py
"""

import json
from collections.abc import Iterable
from pathlib import Path

from hf_medreport.files.writing import write_text

RESULTS = Path(__file__).parents[1] / "results" / "campaign"
PAGE = Path(__file__).parents[2] / "docs" / "hostile.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"


def malformed(part: dict) -> list[str]:
    rows = ["| malformed inputs of | inputs | faults |", "|---|---:|---:|"]
    return rows + [f"| {verb} | {one['inputs']} | {one['faults']} |" for verb, one in part["verbs"].items()]


def mutate(part: dict) -> list[str]:
    crashes = [each["parser"] for each in part["crashes"]]
    rows = [f"| mutations of (seed {part['seed']}) | inputs | crashes |", "|---|---:|---:|"]
    return rows + [f"| {name} | {n:,} | {crashes.count(name)} |" for name, n in part["inputs_by_parser"].items()]


def kills(part: dict) -> list[str]:
    rows = ["| killed | SIGKILL | SIGINT | rounds | ends in |", "|---|---:|---:|---:|---|"]
    for verb, one in part["verbs"].items():
        ends = ", ".join(one["problems"]) or "the same bytes"
        rows.append(f"| {verb} | {one['kills']['SIGKILL']} | {one['kills']['SIGINT']} | {one['rounds']} | {ends} |")
    return rows


def full_disk(part: dict) -> list[str]:
    rows = ["| a full disk in | writes | met | faults |", "|---|---:|---:|---:|"]
    return rows + [
        f"| {verb} | {one['writes']} | {one['met']} | {len(one['faults'])} |" for verb, one in part["verbs"].items()
    ]


def writers(part: dict) -> list[str]:
    rows = ["| of verbs that write | calls | faults |", "|---|---:|---:|"]
    faults = {verb: [one["fault"] for one in ends.values()] for verb, ends in part["verbs"].items()}
    places = {verb: ends for verb, ends in faults.items() if "names" not in part["verbs"][verb]}
    rows += [f"| places: {verb} | {len(ends)} | {sum(map(bool, ends))} |" for verb, ends in places.items()]
    names = [fault for verb, ends in faults.items() if verb not in places for fault in ends]
    return [*rows, f"| names: {_verbs(set(faults) - set(places))} | {len(names)} | {sum(map(bool, names))} |"]


def planted(part: dict) -> list[str]:
    rows = ["| planted | inputs | came out, or ran |", "|---|---:|---:|"]
    for what, word in (("identifiers", "leaks"), ("code", "ran")):
        bad = sum(bool(one[word]) for one in part[what].values())
        rows.append(f"| {what}: {_verbs(part[what])} | {len(part[what])} | {bad} |")
    return rows


def _verbs(names: Iterable[str]) -> str:
    """Those that names such as "report, films" begin with."""
    return ", ".join(sorted({name.partition(",")[0] for name in names}))


PARTS = {"malformed": malformed, "mutate": mutate, "kills": kills, "full_disk": full_disk}
PARTS |= {"writers": writers, "planted": planted}


def tables() -> str:
    """A table a part that there is, each with its day and the versions that matter."""
    written = []
    for name, table in PARTS.items():
        if (path := RESULTS / f"{name}.json").is_file():
            part = json.loads(path.read_text(encoding="utf-8"))
            versions = ", ".join(f"{name} {part['versions'][name]}" for name in ("torch", "transformers", "pydicom"))
            source = f"`{name}.json` of {part['date']}: Python {part['python']}, {versions}."
            written.append("\n".join([source, "", *table(part)]))
    return "\n\n".join(written)


def rendered(page: str) -> str:
    """The page with the tables between its marks."""
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{tables()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    write_text(PAGE, rendered(PAGE.read_text(encoding="utf-8")))
