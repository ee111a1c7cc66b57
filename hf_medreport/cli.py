"""The command `hf-medreport`: one subcommand a verb, each a few lines over the library.

Exit codes: 0 done, 1 the content of an item was bad (listed; the others are done), 2 wrong arguments. Heavy imports
stand inside the commands, so that `--help` is instant.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.processing.input_error import InputError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Medical images to reports."
)
evaluate = typer.Typer(no_args_is_help=True, help="Score a model.")
convert = typer.Typer(no_args_is_help=True, help="Turn an original's checkpoint into a folder that loads anywhere.")
phantom = typer.Typer(no_args_is_help=True, help="Draw films whose truth is known.")
app.add_typer(evaluate, name="evaluate")
app.add_typer(convert, name="convert")
app.add_typer(phantom, name="phantom")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Model = Annotated[
    str | None, typer.Option(help="A shipped model's name, a folder or ORG/NAME. Default: anatomical-tiny.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, ... Default: a GPU where there is one.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a repository.")]
Trust = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run the code that a model of an unknown system brings.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Films a pass; lower it when memory runs out.")]


@app.command()
def doctor(as_json: Json = False):
    """What is installed, what each extra adds, what to type."""
    from hf_medreport.doctor import examine

    state = examine()
    if as_json:
        return _print_json(state)
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "part", "state", "what to type", title=f"hf-medreport {state['hf_medreport']}, Python {state['python']}"
    )
    for name, version in state["packages"].items():
        wanted = [requirement for requirement in state["missing"] if requirement.startswith(name)]
        remedy = f"pip install '{wanted[0]}'" if wanted else ""
        table.add_row(name, (version or "missing") + (", too old" if version and wanted else ""), remedy)
    for name, extra in state["extras"].items():
        lacking = f"missing {', '.join(extra['missing'])}" if extra["missing"] else "complete"
        table.add_row(f"\\[{name}] {extra['adds']}", lacking, (extra["install"] or "").replace("[", "\\["))
    for name, found in state["checkpoints"].items():
        table.add_row(
            f"shipped model {name}", "found" if found else "missing", "" if found else "reinstall the package"
        )
    table.add_row("GPU", "found" if state["gpu"] else "none: films take longer", "")
    table.add_row("Hub", "offline (HF_HUB_OFFLINE=1)" if state["offline"] else "online", "")
    Console().print(table)


@app.command()
def report(
    images: Annotated[list[Path], typer.Argument(help="Films: PNG, JPEG, TIFF or DICOM.")],
    model: Model = None,
    revision: Revision = None,
    trust_remote_code: Trust = False,
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="Lung-heart mask, once a film and in their order; else the model draws it."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and one picture a film.")] = None,
    device: Device = None,
    batch_size: BatchSize = 4,
    as_json: Json = False,
):
    """Write reports for films."""
    _quiet()
    from hf_medreport.inference.loading import load
    from hf_medreport.inference.report import Failure, ReportFolder, report_films, to_json

    folder = None if out is None else ReportFolder(out)  # a wrong --out is said before the work
    pipe = load(model, revision=revision, device=device, trust_remote_code=trust_remote_code)
    results = []
    reports = report_films(images, pipe, masks=mask or None, batch_size=batch_size)
    for result in _bar(reports, len(images), "films"):
        if isinstance(result, Failure):
            typer.echo(result.message, err=True)
        else:
            if folder is not None:
                folder.add(result)
            result.image = result.prior = None  # large, and drawn by now
            if not as_json:
                typer.echo(f"{result.film}\n{result.text}\n")
        results.append(result)
    if folder is not None:
        folder.finish(results)
    if as_json:
        _print_json(to_json(results))
    else:
        for statement in sorted({result.statement for result in results if not isinstance(result, Failure)} - {""}):
            typer.echo(f"({statement})")
    raise typer.Exit(1 if any(isinstance(result, Failure) for result in results) else 0)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    system: Annotated[str, typer.Argument(help="What to train: anatomical.")],
    config: Annotated[str | None, typer.Option(help="YAML of training arguments, see examples/.")] = None,
    as_json: Json = False,
):
    """Train a system. Any training argument may follow as a flag and beats the file: --learning_rate 1e-4."""
    from hf_medreport.training import run

    # Trainer prints its log to stdout; beside JSON it belongs on stderr.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        metrics = run(system, config, context.args)
    if as_json:
        return _print_json(metrics)
    for name, value in metrics.items():
        typer.echo(f"{name}: {value}")


@evaluate.command("phantom")
def evaluate_phantom(
    model: Model = None,
    revision: Revision = None,
    n: Annotated[int, typer.Option(help="Phantom films.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the films.")] = 1,
    split: Annotated[str, typer.Option(help="test, held_back_style, validation or train.")] = "test",
    prevalence: Annotated[str | None, typer.Option(help="natural or balanced. Default: the split's.")] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Score the evidence maps too, on balanced films unless told otherwise.")
    ] = False,
    batch_size: BatchSize = 50,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="File for the JSON.")] = None,
    as_json: Json = False,
):
    """Score a report model on films whose truth is known, beside itself shown noise and a constant report."""
    _quiet()
    from hf_medreport.evaluation.evidence import evaluate_evidence, evidence_table
    from hf_medreport.evaluation.phantom import evaluate_phantom as score
    from hf_medreport.evaluation.phantom import score_table
    from hf_medreport.inference.loading import load
    from hf_medreport.inference.report import output_folder, write_whole

    if out is not None:
        output_folder(out.parent)  # a wrong --out is said before the work
        if out.is_dir():
            raise InputError(out.name, "a folder", "a file to write", "choose another --out")
    pipe = load(model, revision=revision, device=device)
    films = {"n": n, "seed": seed, "split": split, "batch_size": batch_size}
    scores = score(pipe, **films, prevalence=prevalence)
    if evidence:
        scores["evidence"] = evaluate_evidence(pipe, **films, prevalence=prevalence or "balanced")
    if out is not None:
        content = json.dumps(scores, indent=2) + "\n"
        write_whole(out, lambda path: path.write_text(content, encoding="utf-8"))
    if as_json:
        return _print_json(scores)
    typer.echo(score_table(scores))
    if evidence:
        typer.echo("\n" + evidence_table(scores["evidence"]))


@evaluate.command("reports")
def evaluate_reports(
    predictions: Annotated[Path, typer.Argument(help="JSONL rows {id, prediction, reference}, JSON or CSV.")],
    out: Annotated[Path, typer.Option(help="Folder to write: new or empty.")],
    references: Annotated[Path | None, typer.Option(help="File of references, where they stand apart.")] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Names joined by commas, or all. Default: the usual text and clinical ones.")
    ] = None,
    section: Annotated[str | None, typer.Option(help="findings, impression, findings+impression, ...")] = None,
    compare: Annotated[Path | None, typer.Option(help="Another system's predictions of the same reports.")] = None,
    dataset: Annotated[str, typer.Option(help="ORG/NAME of the data, for the card fragment.")] = "local/reports",
    option: Annotated[
        list[str] | None, typer.Option(help="METRIC.NAME=VALUE, such as bertscore.model=DIR. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of intervals and tests.")] = 0,
    as_json: Json = False,
):
    """Score predicted reports: figures with intervals, a value a report, and a page to read."""
    from hf_medreport.evaluation.registry import read_options
    from hf_medreport.evaluation.reports.folder import evaluate_files

    evaluation = evaluate_files(
        predictions,
        out,
        references=references,
        metrics=None if metrics is None else [name.strip() for name in metrics.split(",")],
        section=section,
        compare=compare,
        dataset=dataset,
        options=read_options(option or []),
        seed=seed,
        progress=lambda rows: _bar(rows, len(rows), "metrics"),
    )
    if as_json:
        return _print_json(evaluation.to_json())
    typer.echo(f"{evaluation.table()}\nwritten: {out}")


@evaluate.command("images")
def evaluate_images(
    real: Annotated[Path, typer.Option(help="Folder of real pictures: PNG, JPEG, TIFF or DICOM, at any depth.")],
    fake: Annotated[Path, typer.Option(help="Folder of generated ones; captions in its metadata.jsonl or .csv.")],
    features: Annotated[
        Path | None,
        typer.Option(help="Folder of an image or CLIP model, or a file of Inception's weights. Default: a stand-in."),
    ] = None,
    per_modality: Annotated[bool, typer.Option("--per-modality", help="Score each subfolder too.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of subsets, splits and pairs.")] = 0,
    batch_size: BatchSize = 16,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="Folder for scores.json.")] = None,
    as_json: Json = False,
):
    """Compare generated pictures with real ones: in pairs of one name, as sets, and each alone."""
    _quiet()
    from hf_medreport.evaluation.images import evaluate_images as score
    from hf_medreport.evaluation.images import images_table
    from hf_medreport.inference.report import output_folder, write_whole

    folder = None if out is None else output_folder(out)  # a wrong --out is said before the work
    options = {"features": features, "per_modality": per_modality, "seed": seed, "device": device}
    scores = score(
        real, fake, **options, batch_size=batch_size, progress=lambda items, total: _bar(items, total, "pictures")
    )
    content = json.dumps(scores, indent=2) + "\n"
    if folder is not None:
        write_whole(folder / "scores.json", lambda path: path.write_text(content, encoding="utf-8"))
    for failure in scores["failures"]:
        typer.echo(f"{failure['folder']}: {failure['message']}", err=True)
    typer.echo(content, nl=False) if as_json else typer.echo(images_table(scores))
    raise typer.Exit(1 if scores["failures"] else 0)


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="A model folder with its card.")],
    repository: Annotated[str, typer.Argument(help="ORG/NAME.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch to publish to. Default: main.")] = None,
    as_json: Json = False,
):
    """Upload a model folder to the Hub as one commit."""
    from hf_medreport.hub.publish import publish as upload

    address = upload(folder, repository, private=private, revision=revision)
    if as_json:
        return _print_json({"commit": address})
    typer.echo(address)


@convert.command("anatomical")
def convert_anatomical(
    checkpoint: Annotated[Path, typer.Argument(help=".pth, .pt or .safetensors of the UDEM thesis.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    encoder: Annotated[str | None, typer.Option(help="Folder or id, if the checkpoint has no encoder weights.")] = None,
    tokenizer: Annotated[str, typer.Option(help="Folder or id.")] = "openai-community/gpt2",
    num_heads: Annotated[int | None, typer.Option(help="Of the decoder. Default: its width / 64.")] = None,
    image_size: Annotated[int, typer.Option(help="Side of the film in pixels.")] = 512,
    mask_mode: Annotated[str, typer.Option(help="none, soft or strict: how it was trained.")] = "soft",
    as_json: Json = False,
):
    """A checkpoint of system 002."""
    _quiet()
    from hf_medreport.hub.convert_anatomical import convert as write

    result = write(checkpoint, out, encoder, tokenizer, num_heads, image_size, mask_mode)
    if as_json:
        return _print_json(result)
    typer.echo(f"written: {result['out']}")
    for name in ("missing", "unexpected"):
        typer.echo(f"{name} keys: {', '.join(result[name]) or 'none'}")


@phantom.command("chest")
def phantom_chest(
    out: Annotated[Path, typer.Option(help="Folder to write: new or empty.")],
    n: Annotated[int, typer.Option(help="Cases.")] = 4000,
    size: Annotated[int, typer.Option(help="Side of a film in pixels, 32 to 4096.")] = 224,
    seed: Annotated[int, typer.Option(help="Of all chance.")] = 0,
    split: Annotated[str, typer.Option(help="train, validation, test or held_back_style.")] = "train",
    style: Annotated[str | None, typer.Option(help="standard or held_back. Default: the split's.")] = None,
    prevalence: Annotated[str | None, typer.Option(help="balanced or natural. Default: the split's.")] = None,
    wordings: Annotated[str | None, typer.Option(help="train or held_out. Default: the split's.")] = None,
    lateral: Annotated[bool, typer.Option("--lateral", help="Draw lateral films too.")] = False,
    follow_up: Annotated[float, typer.Option(help="Share of the cases with a prior film, 0 to 1.")] = 0.0,
    findings: Annotated[
        str | None, typer.Option(help="What every film shows, in words: 'small left pleural effusion'.")
    ] = None,
    bits: Annotated[int, typer.Option(help="8 or 16 a pixel.")] = 8,
    format: Annotated[str, typer.Option(help="parquet, png, dicom or radscribe.")] = "parquet",
    monochrome: Annotated[int | None, typer.Option(help="Of DICOM: 1 or 2. Default: both in turns.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one a core.")] = None,
    as_json: Json = False,
):
    """Draw chest films with masks, facts and reports. The same arguments give the same bytes."""
    from hf_medreport.data.phantom_files import write_corpus
    from hf_medreport.phantom.corpus import ChestCorpus
    from hf_medreport.phantom.parser import facts_from_text

    if findings is not None and prevalence is not None:
        raise InputError("prevalence", f"{prevalence} with --findings", "one of the two", "leave out the other")
    facts = None if findings is None else facts_from_text(findings)
    corpus = ChestCorpus(n, seed, size, split, prevalence, wordings, style, lateral, follow_up, bits, facts)
    manifest = write_corpus(out, corpus, format, workers, monochrome, lambda films: _bar(films, n, "films"))
    summary = {"out": str(out), "cases": n, "files": len(manifest["files"])}
    summary["bytes"] = sum(file["bytes"] for file in manifest["files"].values())
    if as_json:
        return _print_json(summary)
    typer.echo(f"written: {out} ({n} cases, {summary['files']} files, {summary['bytes'] / 1e6:.1f} MB)")


def _print_json(content) -> None:
    typer.echo(json.dumps(content, indent=2))


def _bar(items, total: int, unit: str):
    """The items, with a bar on stderr where that is a terminal and there is more than one."""
    from tqdm import tqdm

    return tqdm(items, total=total, unit=unit, disable=total < 2 or not sys.stderr.isatty(), leave=False)


def _quiet() -> None:
    """Keep the libraries' own bars and notices off the screen of a command that reports for itself."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def main() -> None:
    """Entry point: an InputError is one line and exit code 2, a disk that does not take a file one line and 1."""
    try:
        app()
    except InputError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from None
    except OSError as error:
        if error.errno is None:  # not the system's word but a library's
            raise
        typer.echo(f"{error.filename or 'disk'}: {error.strerror}; free space or change --out", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
