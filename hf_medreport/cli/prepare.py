"""Public sources -> data to train on."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Device, Json, Overwrite, Resume, bar, prepare, print_json, print_progress, quiet
from hf_medreport.cli.flags import print_error
from hf_medreport.dataset_scripts.parts.tcga_barcode import SAMPLE_TYPES, SLIDE_KINDS
from hf_medreport.processing.input_error import InputError

Out = Annotated[Path | None, typer.Option(help="Folder to write: new or empty.")]
Sections = Annotated[
    str, typer.Option(help="What a report must have and the text becomes: findings, impression, or both with a comma.")
]
Views = Annotated[str, typer.Option(help="frontal, lateral, all, or views by name like AP,PA.")]
Uncertain = Annotated[
    str, typer.Option(help="Labels that are uncertain: positive, negative, or drop (leave the film out).")
]
Split = Annotated[str | None, typer.Option(help="Parts of train:validation:test by patient, where none are published.")]
Seed = Annotated[int, typer.Option(help="Of that split.")]
Format = Annotated[str, typer.Option(help="parquet, or radscribe: JSONL with an archive of JPEGs.")]
NoEmbed = Annotated[bool, typer.Option("--no-embed", help="Paths of the films in place of the films.")]
Workers = Annotated[int, typer.Option(min=1, help="Films read at once; the bytes do not depend on it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the funnel and write nothing.")]


def check_out(out: Path | None, dry_run: bool) -> None:
    """Refuse both and neither."""
    if dry_run == (out is not None):
        raise InputError("out", "--out with --dry-run" if out else "none", "--out or --dry-run", "choose one of them")


def write_films(source, out: Path | None, sections: str, views: str, uncertain: str, as_json: bool, **options) -> None:
    """Prepare a source, print the funnel and what was wrong, and exit with 1 where something was.

    Args:
        options: of `dataset_scripts.parts.tables.prepare`.
    """
    from hf_medreport.dataset_scripts.parts.films import Rules
    from hf_medreport.dataset_scripts.parts.tables import prepare

    rules = Rules(tuple(sections.split(",")), views, uncertain)
    funnel = prepare(source, out, rules, **options, progress=lambda films, total: bar(films, total, "films"))
    _print_funnel(funnel, out, as_json)


def _print_funnel(funnel: dict, out: Path | None, as_json: bool) -> None:
    """Print what each step left and what was wrong, and exit with 1 where something was."""
    for problem in funnel["problems"]:
        print_error(problem)
    if as_json:
        print_json(funnel)
    else:
        for step, count in (funnel["steps"] | funnel.get("parts", {})).items():
            typer.echo(f"{step:34} {'not known' if count is None else format(count, ',')!s:>9}")
        if out is not None:
            typer.echo(f"written: {out}")
    if out is not None:
        print_progress(f"{sum(funnel['parts'].values())} done, {len(funnel['problems'])} failed, 0 left")
    raise typer.Exit(1 if funnel["problems"] else 0)


@prepare.command("tcga-reports")
def tcga_reports(
    source: Annotated[
        Path, typer.Argument(help="CSV with patient_filename,text; JSONL with id, text; or a folder of .txt.")
    ],
    slides: Annotated[
        Path, typer.Option(help="Folder of slides or feature files, a list of their names, or a manifest of the GDC.")
    ],
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
    sample_types: Annotated[
        str, typer.Option(help="Samples whose slides are taken, by the barcode's two digits, or all. Default: tumors.")
    ] = ",".join(SAMPLE_TYPES),
    slide_kinds: Annotated[
        str, typer.Option(help="Slides that are taken: DX (diagnostic), TS, MS, BS (frozen), joined by commas, or all.")
    ] = ",".join(SLIDE_KINDS),
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
    from hf_medreport.dataset_scripts.parts.language_model import Endpoint, LocalModel
    from hf_medreport.dataset_scripts.tcga_reports import PROMPTS
    from hf_medreport.dataset_scripts.tcga_reports import prepare as write
    from hf_medreport.files.run_folder import refuse_older
    from hf_medreport.files.writing import output_folder

    model = None
    if endpoint is not None:
        model = Endpoint(endpoint, llm, max_new_tokens, timeout)
    elif llm is not None:
        from hf_medreport.cli.app import quiet

        quiet()
        model = LocalModel(llm, max_new_tokens)
    refuse_older(output_folder(out), resume, overwrite)  # a wrong --out is said before the work
    funnel = write(
        *(source, slides, out, model, prompts or PROMPTS, on_loss, split, seed, workers),
        sample_types=[each.strip() for each in sample_types.split(",")],
        slide_kinds=[each.strip() for each in slide_kinds.split(",")],
        progress=lambda texts, total: bar(texts, total, "reports"),
        **{"resume": resume, "overwrite": overwrite},
    )
    for problem in funnel["problems"]:
        print_error(problem)
    if as_json:
        print_json(funnel)
    else:
        for step, count in funnel["slides"].items():
            typer.echo(f"slides: {step:15} {count:7,}")
        for step in (step for step, count in funnel.items() if isinstance(count, int)):
            typer.echo(f"{step:23} {funnel[step]:7,}")
        typer.echo(f"written: {out}")
    print_progress(f"{funnel['kept'] + funnel['dropped']} done, {len(funnel['problems'])} failed, 0 left")
    raise typer.Exit(1 if funnel["problems"] else 0)


@prepare.command("iu-xray")
def iu_xray(
    reports_csv: Annotated[Path | None, typer.Option(help="Kaggle's indiana_reports.csv.")] = None,
    projections_csv: Annotated[Path | None, typer.Option(help="Kaggle's indiana_projections.csv.")] = None,
    xml: Annotated[
        Path | None,
        typer.Option(help="Open-i's reports: folder of XML, NLMCXR_reports.tgz, or torchxrayvision's wheel."),
    ] = None,
    views: Annotated[
        Path | None, typer.Option(help="For --xml, CSV of filename or imageid and projection or View Position.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the films: .png, .jpg or .dcm.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write: new or empty.")] = None,
    normal_rule: Annotated[
        str, typer.Option(help="mesh: the code normal alone; no_lung: also codes of other organs alone.")
    ] = "mesh",
    unindexed: Annotated[str, typer.Option(help="Studies without codes: drop, normal or abnormal.")] = "drop",
    lung_rule: Annotated[
        str, typer.Option(help="Abnormal studies that stay: any (a code of the lungs), every (no other) or off.")
    ] = "any",
    lung_term: Annotated[
        list[str] | None, typer.Option(help="How a lung's code or qualifier begins; repeat it. Default: a list.")
    ] = None,
    xxxx_policy: Annotated[
        str, typer.Option(help="The mark of de-identification: keep, drop_token or drop_report.")
    ] = "keep",
    split: Annotated[str, typer.Option(help="Parts of train:validation:test, by patient.")] = "7:1:2",
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    no_embed: Annotated[bool, typer.Option("--no-embed", help="Paths of the films in place of the films.")] = False,
    segmenter: Annotated[
        str | None,
        typer.Option(help="Crop frontal films to the lungs, masks kept: a shipped model's name or a folder."),
    ] = None,
    margin: Annotated[float, typer.Option(help="Around the lungs, as a fraction of the film.")] = 0.05,
    workers: Annotated[int, typer.Option(min=1, help="Films read at once; the bytes do not depend on it.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the funnel and write nothing.")] = False,
    device: Device = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Indiana University's films and reports, cleaned by rules -> Parquet with patient-level splits."""
    check_out(out, dry_run)
    from hf_medreport.dataset_scripts.iu_xray import LUNG_TERMS, CleaningRules, Sources
    from hf_medreport.dataset_scripts.iu_xray import prepare as write

    sources = Sources(reports_csv, projections_csv, xml, views)
    rules = CleaningRules(normal_rule, unindexed, lung_rule, tuple(lung_term or LUNG_TERMS), xxxx_policy)
    if segmenter is not None:
        from hf_medreport.inference.loading import load_segmenter

        quiet()
        segmenter = load_segmenter(segmenter, device=device)
    funnel = write(
        *(sources, images, out, rules),
        **{"split": split, "seed": seed, "embed": not no_embed, "segmenter": segmenter, "margin": margin},
        **{"workers": workers, "resume": resume, "overwrite": overwrite},
        progress=lambda studies, total: bar(studies, total, "studies"),
    )
    _print_funnel(funnel, out, as_json)


@prepare.command("mimic-cxr")
def mimic_cxr(
    source: Annotated[Path, typer.Argument(help="Folder of MIMIC-CXR-JPG, where its tables lie.")],
    out: Out = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the films: files/p10/.../*.jpg or *.dcm. Default: SOURCE.")
    ] = None,
    reports: Annotated[
        Path | None, typer.Option(help="Folder of MIMIC-CXR's reports: files/p10/.../*.txt. Default: SOURCE.")
    ] = None,
    labels: Annotated[str, typer.Option(help="Whose labels: chexpert, negbio or none.")] = "chexpert",
    sections: Sections = "findings,impression",
    views: Views = "frontal",
    uncertain: Uncertain = "negative",
    split: Split = None,
    seed: Seed = 0,
    format: Format = "parquet",
    no_embed: NoEmbed = False,
    workers: Workers = 1,
    dry_run: DryRun = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """MIMIC-CXR's films, reports and labels -> Parquet, or RadScribe's files, in the published parts."""
    check_out(out, dry_run)
    from hf_medreport.dataset_scripts.mimic_cxr import MimicCxr

    write_films(
        *(MimicCxr(source, images, reports, labels), out, sections, views, uncertain, as_json),
        **{"format": format, "split": split, "seed": seed, "embed": not no_embed, "workers": workers},
        **{"resume": resume, "overwrite": overwrite},
    )


@prepare.command("chexpert-plus")
def chexpert_plus(
    source: Annotated[Path, typer.Argument(help="Folder of df_chexpert_plus_240401.csv and chexbert_labels.")],
    out: Out = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the films: PNG/train/... Default: SOURCE or its PNG.")
    ] = None,
    labels: Annotated[
        str, typer.Option(help="Of which text CheXbert's labels are: report, findings, impression; or none.")
    ] = "report",
    sections: Sections = "findings,impression",
    views: Views = "frontal",
    uncertain: Uncertain = "negative",
    split: Split = None,
    seed: Seed = 0,
    format: Format = "parquet",
    no_embed: NoEmbed = False,
    workers: Workers = 1,
    dry_run: DryRun = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """CheXpert Plus's films, reports and labels -> Parquet, or RadScribe's files, in the published parts."""
    check_out(out, dry_run)
    from hf_medreport.dataset_scripts.chexpert_plus import CheXpertPlus

    write_films(
        *(CheXpertPlus(source, images, labels), out, sections, views, uncertain, as_json),
        **{"format": format, "split": split, "seed": seed, "embed": not no_embed, "workers": workers},
        **{"resume": resume, "overwrite": overwrite},
    )
