"""Public sources -> data to train on."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, Overwrite, Resume, bar, prepare, print_json, print_progress
from hf_medreport.cli.flags import print_error
from hf_medreport.processing.input_error import InputError


@prepare.command("tcga-reports")
def tcga_reports(
    source: Annotated[
        Path, typer.Argument(help="CSV with patient_filename,text; JSONL with id, text; or a folder of .txt.")
    ],
    slides: Annotated[Path, typer.Option(help="Folder of slides or feature files, or a list of their names.")],
    out: Annotated[Path, typer.Option(help="Folder to write; answers in its cache/ are used again.")],
    llm: Annotated[
        str | None, typer.Option(help="Model of the endpoint; without one, folder of a causal language model.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="OpenAI-compatible, like http://localhost:8000/v1; its key in OPENAI_API_KEY.")
    ] = None,
    no_llm: Annotated[bool, typer.Option("--no-llm", help="Clean by rules only.")] = False,
    prompts: Annotated[Path | None, typer.Option(help="YAML with system and user. Default: the one inside.")] = None,
    on_loss: Annotated[
        str, typer.Option(help="A rewriting that lost a fact: source (use the cleaned source), keep or drop.")
    ] = "source",
    split: Annotated[str, typer.Option(help="Parts of train:val:test, by patient.")] = "7:1:2",
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Questions at once.")] = 4,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one attempt waits for the endpoint.")] = 120.0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer; a cut one is not used.")] = 512,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """TCGA's report texts, cleaned and rewritten under guard -> annotation.json with patient-level splits."""
    if no_llm == (llm is not None) or (endpoint is not None and llm is None):
        given = [flag for flag, on in (("--llm", llm), ("--endpoint", endpoint), ("--no-llm", no_llm)) if on]
        expected = "--llm FOLDER, --endpoint URL --llm NAME, or --no-llm"
        raise InputError("llm", " with ".join(given) or "none", expected, "choose one of the three")
    from hf_medreport.dataset_scripts.language_model import Endpoint, LocalModel
    from hf_medreport.dataset_scripts.tcga_reports import PROMPTS
    from hf_medreport.dataset_scripts.tcga_reports import prepare as write
    from hf_medreport.files.writing import output_folder

    model = None
    if endpoint is not None:
        model = Endpoint(endpoint, llm, max_new_tokens, timeout)
    elif llm is not None:
        from hf_medreport.cli.app import quiet

        quiet()
        model = LocalModel(llm, max_new_tokens)
    output_folder(out)  # a wrong --out is said before the work
    funnel = write(
        *(source, slides, out, model, prompts or PROMPTS, on_loss, split, seed, workers),
        progress=lambda texts, total: bar(texts, total, "reports"),
        **{"resume": resume, "overwrite": overwrite},
    )
    for problem in funnel["problems"]:
        print_error(problem)
    if as_json:
        print_json(funnel)
    else:
        for step in (step for step, count in funnel.items() if isinstance(count, int)):
            typer.echo(f"{step:10} {funnel[step]:7,}")
        typer.echo(f"written: {out}")
    print_progress(f"{funnel['kept'] + funnel['dropped']} done, {len(funnel['problems'])} failed, 0 left")
    raise typer.Exit(1 if funnel["problems"] else 0)
