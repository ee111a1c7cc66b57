"""Descriptions in, pictures out."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import (
    Device,
    Json,
    Overwrite,
    Resume,
    Revision,
    app,
    bar,
    print_json,
    print_progress,
    quiet,
    quiet_diffusers,
)
from hf_medreport.cli.flags import print_error
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import default_model


@app.command()
def synthesize(
    prompt: Annotated[str | None, typer.Argument(help="What the picture shows, such as 'small left effusion'.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for images/, contact sheets, records.jsonl and synthesize.json.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="CSV or JSONL in place of PROMPT: prompt, and modality, negative_prompt, seed, image, id."),
    ] = None,
    modality: Annotated[str | None, typer.Option(help="That the model knows: cxr, mri, ct, fundus, oct, ...")] = None,
    n: Annotated[int, typer.Option(help="Pictures a prompt.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the first picture; each further one counts on.")] = 0,
    negative_prompt: Annotated[str | None, typer.Option(help="What the picture is to be unlike.")] = None,
    guidance: Annotated[
        float | None,
        typer.Option(help="1: as the words say; more: more so, and less natural. Default: the model's own."),
    ] = None,
    guidance_schedule: Annotated[str, typer.Option(help="How it runs over the steps: constant, linear, cosine.")] = (
        "constant"
    ),
    guidance_rescale: Annotated[float, typer.Option(help="0 to 1, against washed-out or glaring pictures.")] = 0.0,
    steps: Annotated[int, typer.Option(help="Of denoising; more take longer.")] = 50,
    scheduler: Annotated[
        str | None, typer.Option(help="dpm, ddim, ddpm, euler, euler_a or pndm. Default: the model's own.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="SIDE or WIDTHxHEIGHT in px. Default: the model's own.")] = None,
    init: Annotated[Path | None, typer.Option(help="Picture to begin from, in place of noise.")] = None,
    strength: Annotated[float, typer.Option(help="With --init: 0 keeps it, 1 replaces it.")] = 0.8,
    retrieve: Annotated[
        Path | None, typer.Option(help="CSV or JSONL of your own cases (text, image): the nearest complete the prompt.")
    ] = None,
    terms: Annotated[
        list[Path] | None, typer.Option(help="With --retrieve: synonyms, as RadLex or SNOMED CT exports have them.")
    ] = None,
    retrieve_image: Annotated[
        bool, typer.Option("--retrieve-image", help="With --retrieve: begin from the nearest case's picture.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Look at each picture, and draw it again where it is not as asked.")
    ] = False,
    verify_rounds: Annotated[int, typer.Option(min=1, help="With --verify: attempts a picture, at most.")] = 3,
    verify_judge: Annotated[
        str | None, typer.Option(help="With --verify: the folder of a judge. Default: the raters' own.")
    ] = None,
    verify_training: Annotated[
        Path | None, typer.Option(help="With --verify: a folder of the training pictures; none may be a near copy.")
    ] = None,
    visible_mark: Annotated[bool, typer.Option("--visible-mark", help="Write SYNTHETIC into each picture.")] = False,
    model: Annotated[
        str, typer.Option(help="A folder or ORG/NAME: a generator of ours, or a stock Stable Diffusion 1.x.")
    ] = default_model("prompt"),
    revision: Revision = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of an adapter that was trained on --model.")] = None,
    device: Device = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures a pass; lower it when memory runs out.")] = 4,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Draw pictures for a description, or for a table of them. Every PNG says in its metadata that it is synthetic."""
    quiet()
    from hf_medreport.files.run_folder import RunFolder, refuse_older
    from hf_medreport.files.writing import output_folder
    from hf_medreport.inference.asked_pictures import asked_of_prompt, asked_of_table
    from hf_medreport.inference.generators import generator_revision, load_generator
    from hf_medreport.inference.report import Failure
    from hf_medreport.inference.synthesize import PictureFolder, Source, fill
    from hf_medreport.processing.image_reading import read_image

    if (prompt is None) == (csv is None):
        found = "neither it nor `csv`" if csv is None else "both it and `csv`"
        raise InputError("prompt", found, "one of the two", "give a description, or a table of them")
    if out is None:
        raise InputError("out", "none", "a folder for the pictures", "give `out`")
    if retrieve is None and (terms or retrieve_image):
        raise InputError("retrieve_image" if retrieve_image else "terms", "it without `retrieve`", "both", "give both")
    if init is not None and retrieve_image:
        raise InputError("retrieve_image", "it beside `init`", "one picture to begin from", "leave out one")
    if not 0 < strength <= 1:  # also where no picture is begun from
        raise InputError("strength", str(strength), "above 0, at most 1", "choose another, such as 0.8")
    if not verify and (verify_judge is not None or verify_training is not None):
        name = "verify_training" if verify_judge is None else "verify_judge"
        raise InputError(name, "it without `verify`", "both", "give both")
    refuse_older(output_folder(out), resume, overwrite)  # a wrong --out is said before the work
    if init is not None:
        read_image(init)  # a picture that cannot be read is said before the work too
    others = {"modality": modality, "negative_prompt": negative_prompt, "image": init}
    asked = (
        asked_of_prompt(prompt, n, seed=seed, **others) if csv is None else asked_of_table(csv, n, seed=seed, **others)
    )
    asked = list(asked)
    pictures = [picture for picture in asked if not isinstance(picture, Failure)]

    quiet_diffusers()
    pipe = load_generator(model, revision=revision, device=device)
    options = {
        "num_inference_steps": steps,
        "guidance_scale": pipe.config.guidance_scale if guidance is None else guidance,
        "guidance_schedule": guidance_schedule,
        "guidance_rescale": guidance_rescale,
        **_sides(size),
        **({"strength": strength} if any(picture.image for picture in pictures) or retrieve_image else {}),
    }
    pipe.set_progress_bar_config(disable=not sys.stderr.isatty(), leave=False)
    if adapter is not None:
        from hf_medreport.systems.diffusion.training.adapters import use_adapter

        use_adapter(pipe, adapter)
    digest = generator_revision(pipe)  # before another scheduler is put into it
    if scheduler is not None:
        pipe.use_scheduler(scheduler)
    if csv is None:  # of a table, each row is looked at for itself
        pipe.tokenize([prompt], [modality])
    if retrieve is not None:
        from hf_medreport.systems.diffusion.retrieval import CaseIndex, completed

        index = CaseIndex.read(retrieve, terms or [])
        pictures = [completed(picture, index, pipe, with_image=retrieve_image) for picture in pictures]
    verifier, verifying = _verifier(verify_judge, verify_training, verify_rounds, device) if verify else (None, {})
    source = Source(Path(model).resolve().name if Path(model).is_dir() else model, digest, options)
    settings = {"model": source.model, "revision": source.revision, **options}
    settings |= {"scheduler": type(pipe.scheduler).__name__, "batch_size": batch_size, "visible_mark": visible_mark}
    settings |= verifying
    agent = None if verifier is None else verifier.of(pipe, options)
    with RunFolder(out, "synthesize", settings, resume=resume, overwrite=overwrite, records="records.jsonl") as run:
        folder = PictureFolder(run, [picture.id for picture in pictures], source, visible_mark)
        run.total = len(asked)
        for bad in asked:
            if isinstance(bad, Failure):
                folder.fail(bad.film, bad.message)
        left = sum(not folder.kept(picture) for picture in pictures)
        for _ in bar(fill(folder, pictures, pipe, batch_size=batch_size, verify=agent, **options), left, "pictures"):
            pass
        record = folder.finish()
    for failure in record["failures"]:
        print_error(failure["message"])
    print_json(record) if as_json else _print_lines(record, out)
    print_progress(run.progress)
    raise typer.Exit(1 if record["failures"] else 0)


def _verifier(judge: str | None, training: Path | None, rounds: int, device: str | None) -> tuple:
    """The agent that looks at pictures, and what the run's settings say of it."""
    from hf_medreport.evaluation.pictures.judging import load_judge, rater_folder
    from hf_medreport.evaluation.verification.agent import Verifier
    from hf_medreport.evaluation.verification.checks import Checks
    from hf_medreport.evaluation.verification.copies import TrainingPictures
    from hf_medreport.inference.loading import load_segmenter

    known = None if training is None else TrainingPictures.read(training)
    checks = Checks(load_judge(judge or rater_folder(), device), load_segmenter(device=device), known)
    said = {"judge": checks.judge.name, "segmenter": checks.segmenter.name, "rounds": rounds}
    return Verifier(checks, rounds), {"verify": said | {"training": training and training.name}}


def _sides(size: str | None) -> dict[str, int]:
    """Width and height of "256" or "320x256"."""
    if size is None:
        return {}
    sides = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", size)
    if sides is None:
        raise InputError("size", f"'{size}'", "SIDE or WIDTHxHEIGHT in px", "give it as 256 or 320x256")
    return {"width": int(sides[1]), "height": int(sides[2] or sides[1])}


def _print_lines(record: dict, out: Path) -> None:
    for picture in record["pictures"]:
        modality = f"{picture['modality']}: " if picture["modality"] else ""
        typer.echo(f"{picture['file']}  seed {picture['seed']}  {modality}{picture['prompt']}")
        if "verification" in picture:
            from hf_medreport.evaluation.verification.agent import verified_line

            typer.echo(f"  {verified_line(picture['verification'])}")
    typer.echo(f"({record['statement']})")
    typer.echo(f"written: {out}")
