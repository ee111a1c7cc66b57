"""Score a model, its reports or its pictures."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import (
    BatchSize,
    Device,
    Json,
    Model,
    Overwrite,
    Resume,
    Revision,
    bar,
    evaluate,
    print_json,
    print_progress,
    quiet,
)
from hf_medreport.cli.flags import as_flags, print_error
from hf_medreport.processing.input_error import InputError


@evaluate.command("phantom")
def evaluate_phantom(
    model: Model = None,
    revision: Revision = None,
    n: Annotated[int, typer.Option(help="Phantom films, or slides for a model that reads slides.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the films or slides.")] = 1,
    split: Annotated[str, typer.Option(help="test, held_back_style, validation or train.")] = "test",
    prevalence: Annotated[str | None, typer.Option(help="natural or balanced. Default: the split's.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="oracle (the true ones) or predicted. Default: as the model's label_mode.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of a slide in px. Default: 2048. Films: the model's.")] = None,
    mpp: Annotated[float | None, typer.Option(help="Microns a px of a slide. Default: 1.")] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Score the evidence too, on balanced findings unless told otherwise.")
    ] = False,
    training: Annotated[
        Path | None,
        typer.Option(help="Generators: the folder of pictures that it was trained on, for the memorization gate."),
    ] = None,
    judge: Annotated[
        Path | None, typer.Option(help="Generators: the folder of a judge. Default: the one that ships.")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Generators: a model, such as Inception or CLIP, on whose features sets are compared too."),
    ] = None,
    guidance: Annotated[float | None, typer.Option(help="Generators: guidance scale. Default: 3.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Generators: steps a picture. Default: 20.")] = None,
    sweep: Annotated[
        str | None, typer.Option(help="Generators: guidance scales to compare besides, as 1,2,3,5,8.")
    ] = None,
    card: Annotated[
        bool, typer.Option("--card", help="Generators: put the figures into the model's folder, and into its card.")
    ] = False,
    batch_size: BatchSize = 50,
    device: Device = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for scores.json and records.jsonl: what was written of each image. Of a generator: its "
            "pictures and evaluation.json."
        ),
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Score a report model on images whose truth is known, beside itself shown noise and a constant report.

    Of a model of film pairs, its words, its classification and its reconstructed films too. Of a generator, whether its
    pictures show what was asked for, are like drawn ones, and are no copies of those that it was trained on.
    """
    quiet()
    from hf_medreport.evaluation.phantom.evaluate import check_options, drawn_table, evaluate_drawn
    from hf_medreport.evaluation.phantom.keeping import CaseError
    from hf_medreport.files.run_folder import RunFolder, refuse_older
    from hf_medreport.files.writing import output_folder
    from hf_medreport.inference.generators import is_generator
    from hf_medreport.inference.loading import load
    from hf_medreport.inference.report import source_of

    if out is None and (resume or overwrite):
        raise InputError("resume" if resume else "overwrite", "it without `out`", "a folder", "give `out`")
    if out is not None:  # a wrong --out is said before the work
        if out.suffix.lower() == ".json":
            expected = "a folder, which gets scores.json and what was written"
            raise InputError(out.name, "the name of a file", expected, "choose another `out`")
        refuse_older(output_folder(out), resume, overwrite)
    of_reports = {"prevalence": prevalence, "labels": labels, "size": size, "mpp": mpp, "evidence": evidence or None}
    of_generators = {"training": training, "judge": judge, "features": features}
    of_generators |= {"guidance": guidance, "steps": steps, "sweep": sweep, "card": card or None}
    generates = model is not None and is_generator(model, revision)
    for name, value in (of_reports if generates else of_generators).items():
        if value is not None:
            kind = "a generator" if generates else "a report model"
            raise InputError(name, f"{value} for {kind}", "none", "leave it out")
    if generates:
        drawing = {"guidance_scale": guidance, "num_inference_steps": steps, "batch_size": min(batch_size, n)}
        asked = {"n": n, "seed": seed, "split": split, "judge": judge and str(judge)}
        asked |= {"training": training and str(training), "features": features and str(features)}
        kept = {"revision": revision, "device": device, "resume": resume, "overwrite": overwrite}
        return _evaluate_generator(model, out, drawing, sweep, card, asked, kept, as_json)
    pipe = load(model, revision=revision, device=device)
    asked = {"n": n, "seed": seed, "split": split, "labels": labels, "size": size, "mpp": mpp}
    check_options(pipe, evidence=evidence, **asked)
    options = {**asked, "prevalence": prevalence, "evidence": evidence}
    settings, kept = source_of(pipe) | options, {"resume": resume, "overwrite": overwrite, "records": "records.jsonl"}
    with nullcontext() if out is None else RunFolder(out, "evaluate phantom", settings, **kept) as folder:
        if folder is not None:
            folder.total = n
        try:
            scores = evaluate_drawn(pipe, **options, batch_size=batch_size, run=folder)
        except CaseError as error:
            print_error(str(error))
            if folder is not None:
                print_progress(f"{folder.progress}; --resume goes on")
            raise typer.Exit(1) from None
        if folder is not None:
            folder.write_json("scores.json", scores)
            folder.finish(settings["statement"], ("torch", "transformers", "numpy"))
    print_json(scores) if as_json else typer.echo(drawn_table(pipe, scores))
    if folder is not None:
        print_progress(folder.progress)


def _evaluate_generator(
    model: str, out: Path | None, drawing: dict, sweep: str | None, card: bool, asked, kept, as_json: bool
):
    """Draw, score, print."""
    from hf_medreport.evaluation.pictures.evaluate import Drawing, pictures_table
    from hf_medreport.evaluation.pictures.folder import evaluate_into
    from hf_medreport.evaluation.pictures.sweep import sweep_table
    from hf_medreport.systems.diffusion.card import check_run, write_evaluated

    if card:
        check_run(Path(model))

    try:
        scales = [float(scale) for scale in sweep.split(",")] if sweep else []
    except ValueError:
        raise InputError("sweep", f"'{sweep}'", "numbers, joined by commas", "give it as 1,2,3,5,8") from None
    flags = {"n": asked["n"], "seed": asked["seed"], "split": asked["split"], "guidance": drawing["guidance_scale"]}
    flags |= {"steps": drawing["num_inference_steps"], "training": asked["training"] and Path(asked["training"]).name}
    flags |= {name: asked[name] and Path(asked[name]).name for name in ("judge", "features")} | {"sweep": sweep}
    given = "".join(f" --{name} {value}" for name, value in flags.items() if value is not None)
    scores = evaluate_into(
        model,
        out,
        drawing=Drawing(**{name: value for name, value in drawing.items() if value is not None}),
        scales=scales,
        command=f"hf-medreport evaluate phantom --model {Path(model).name}{given}",
        progress=lambda items, total: bar(items, total, "passes"),
        **kept,
        **asked,
    )
    if card:
        write_evaluated(Path(model), scores)
    if as_json:
        return print_json(scores)
    typer.echo(as_flags(pictures_table(scores)))
    if scales:
        typer.echo(f"\n{sweep_table(scores['sweep'])}")
    print_progress(f"{scores['n']} done, 0 failed, 0 left")


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
    resume: Resume = False,
    overwrite: Overwrite = False,
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
        progress=lambda rows: bar(rows, len(rows), "metrics"),
        **{"resume": resume, "overwrite": overwrite},
    )
    print_json(evaluation.to_json()) if as_json else typer.echo(f"{evaluation.table()}\nwritten: {out}")
    print_progress(f"{len(evaluation.pairs.ids)} done, 0 failed, 0 left")


@evaluate.command("images")
def evaluate_images(
    real: Annotated[Path, typer.Option(help="Folder of real pictures: PNG, JPEG, TIFF or DICOM, at any depth.")],
    fake: Annotated[Path, typer.Option(help="Folder of generated ones; captions in its metadata.jsonl or .csv.")],
    features: Annotated[
        Path | None,
        typer.Option(help="Folder of an image or CLIP model, or a file of Inception's weights. Default: a stand-in."),
    ] = None,
    per_modality: Annotated[bool, typer.Option("--per-modality", help="Score each subfolder too.")] = False,
    training: Annotated[
        Path | None,
        typer.Option(
            help="What the generator was trained on: are its pictures nearer to these than the real ones are?"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of subsets, splits and pairs.")] = 0,
    batch_size: BatchSize = 16,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="Folder for scores.json.")] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Compare generated pictures with real ones: in pairs of one name, as sets, and each alone."""
    quiet()
    from hf_medreport.evaluation.images.evaluate import evaluate_images as score
    from hf_medreport.evaluation.images.evaluate import images_table
    from hf_medreport.evaluation.pictures.folder_gate import gate_of_folders
    from hf_medreport.evaluation.pictures.memorization import gate_lines
    from hf_medreport.files.run_folder import RunFolder

    options = {"features": features, "per_modality": per_modality, "seed": seed}
    arguments = {"real": real.name, "fake": fake.name, **options, "features": features and features.name}
    arguments["training"] = training and training.name
    kept = {"resume": resume, "overwrite": overwrite}
    with nullcontext() if out is None else RunFolder(out, "evaluate images", arguments, **kept) as folder:
        progress = {"progress": lambda items, total: bar(items, total, "pictures")}
        scores = score(real, fake, **options, device=device, batch_size=batch_size, **progress)
        if training is not None:
            scores["gate"] = gate_of_folders(fake, training, real, per_modality, seed, **progress)
        if folder is not None:
            folder.write_json("scores.json", scores)
            folder.finish()
    for failure in scores["failures"]:
        print_error(f"{failure['folder']}: {failure['message']}")
    print_json(scores) if as_json else typer.echo(as_flags(images_table(scores)))
    if training is not None and not as_json:
        typer.echo(gate_lines(scores["gate"]))
    if out is not None:
        count = scores["all"]["n_real"] + scores["all"]["n_fake"]
        print_progress(f"{count} done, {len(scores['failures'])} failed, 0 left")
    raise typer.Exit(1 if scores["failures"] else 0)
