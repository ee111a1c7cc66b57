"""Judge a model on a table with references."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import (
    AllowForeign,
    AnyModality,
    BatchSize,
    Device,
    Engine,
    Frame,
    Json,
    Model,
    Orient,
    OverrideSlideMpp,
    Overwrite,
    RayAddress,
    Resume,
    Revision,
    Shard,
    SlideMpp,
    SlideMppCsv,
    Trust,
    bar,
    evaluate,
    exit_code,
    print_json,
    print_progress,
    quiet,
    show_log,
)
from hf_medreport.cli.flags import print_error


@evaluate.command("model")
def evaluate_model(
    table: Annotated[
        Path, typer.Argument(help="CSV, JSONL, Parquet: images (image; frontal, lateral; slide; features) and text.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write: new or empty.")],
    model: Model = None,
    revision: Revision = None,
    text_column: Annotated[
        str | None, typer.Option(help="Of the references. Default: text, report or reference.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Names joined by commas, or all. Default: the usual text and clinical ones.")
    ] = None,
    section: Annotated[str | None, typer.Option(help="findings, impression, findings+impression, ...")] = None,
    dataset: Annotated[
        str,
        typer.Option(help="ORG/NAME of the data; with physionet/mimic-cxr and findings, published figures stand by."),
    ] = "local/reports",
    option: Annotated[
        list[str] | None, typer.Option(help="METRIC.NAME=VALUE, such as bertscore.model=DIR. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of intervals and tests.")] = 0,
    slide_mpp: SlideMpp = None,
    slide_mpp_csv: SlideMppCsv = None,
    override_slide_mpp: OverrideSlideMpp = False,
    allow_foreign_features: AllowForeign = False,
    orient: Orient = None,
    frame: Frame = None,
    any_modality: AnyModality = False,
    batch_size: BatchSize = 4,
    device: Device = None,
    trust_remote_code: Trust = False,
    shard: Shard = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Report every row of a table with references and score what was written, with a page to read.

    predictions.jsonl grows as it goes; --resume goes on behind it.
    """
    quiet()
    show_log()
    from hf_medreport.evaluation.registry import read_options
    from hf_medreport.evaluation.reports.of_model import evaluate_model as judge
    from hf_medreport.files.run_folder import refuse_older
    from hf_medreport.files.shares import this_share
    from hf_medreport.inference.engines.on_ray import chosen_engine
    from hf_medreport.inference.loading import load

    options, share = read_options(option or []), this_share(shard, resume)
    elsewhere = chosen_engine(engine, ray_address, device)
    refuse_older(out, resume, overwrite)
    loading = {"model": model, "revision": revision, "device": device, "trust_remote_code": trust_remote_code}
    pipe = load(**loading)
    evaluation, failures = judge(
        pipe,
        table,
        out,
        metrics=None if metrics is None else [name.strip() for name in metrics.split(",")],
        section=section,
        dataset=dataset,
        options=options,
        seed=seed,
        text_column=text_column,
        slide_mpp=slide_mpp,
        slide_mpp_csv=slide_mpp_csv,
        override_slide_mpp=override_slide_mpp,
        allow_foreign_features=allow_foreign_features,
        orient=orient,
        frame=frame,
        any_modality=any_modality,
        batch_size=batch_size,
        progress=bar,
        share=share,
        engine=elsewhere,
        loading=loading,
        **{"resume": resume, "overwrite": overwrite},
    )
    for failure in failures:
        print_error(f"{failure.film}: {failure.message}")
    if evaluation is None:
        left = {"share": share.number, "of": share.of, "failures": len(failures)}
        print_json(left) if as_json else typer.echo(f"written: {share.file}; scores come with the last share, or merge")
    else:
        print_json(evaluation.to_json()) if as_json else typer.echo(f"{evaluation.table()}\nwritten: {out}")
        print_progress(f"{len(evaluation.pairs.ids)} done, {len(failures)} failed, 0 left")
    raise typer.Exit(exit_code(len(failures)))
