"""Slides in, features of their tiles out."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import (
    Device,
    Engine,
    Json,
    OverrideSlideMpp,
    Overwrite,
    RayAddress,
    Resume,
    Revision,
    Shard,
    SlideMpp,
    SlideMppCsv,
    app,
    exit_code,
    print_json,
    print_progress,
    quiet,
)
from hf_medreport.cli.flags import as_flags, print_error
from hf_medreport.processing.input_error import InputError

NAMED = 3  # of each reason for which something is left out
WORTH_TELLING = 100 << 20  # bytes of memory


@app.command()
def tile(
    slides: Annotated[list[Path], typer.Argument(help="Slides (SVS, NDPI, MRXS, SCN, TIFF, DICOM, PNG) or folders.")],
    out: Annotated[Path, typer.Option(help="Folder for a feature file a slide, overlays and summary.json.")],
    encoder: Annotated[
        str | None, typer.Option(help="Vision model of transformers or timm: folder or ORG/NAME. Default: the shipped.")
    ] = None,
    revision: Revision = None,
    level: Annotated[int | None, typer.Option(help="Level to cut tiles from. Default: the encoder's, or 0.")] = None,
    mpp: Annotated[float | None, typer.Option(help="Microns per px of the tiles, in place of a level.")] = None,
    patch_px: Annotated[int | None, typer.Option(help="Side of a tile. Default: the encoder's, or 512.")] = None,
    overlap_px: Annotated[
        int | None, typer.Option("--overlap", help="Px that neighbors share. Default: the encoder's, or 0.")
    ] = None,
    tissue: Annotated[
        str | None,
        typer.Option(help="tcga, otsu, or otsu-keep-ink (ink counts as tissue). Default: the encoder's, or tcga."),
    ] = None,
    slide_mpp: SlideMpp = None,
    slide_mpp_csv: SlideMppCsv = None,
    override_slide_mpp: OverrideSlideMpp = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Tiles a pass; lower it when memory runs out.")] = 32,
    dtype: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    device: Device = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that read tiles. Default: one a core.")] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Also slides further down in the folders.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash all bytes of slides that are done; else size, time and ends decide.")
    ] = False,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Draw each slide's tissue and tiles.")] = True,
    clear_dead_claims: Annotated[
        bool, typer.Option("--clear-dead-claims", help="Drop claims of processes of other machines that are dead.")
    ] = False,
    shard: Shard = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Cut slides into tiles and encode them. Several processes may share a folder, each with --resume."""
    quiet()
    import torch

    from hf_medreport.files.bars import watched
    from hf_medreport.files.items import item_ids
    from hf_medreport.files.run_folder import refuse_older
    from hf_medreport.files.shares import this_share
    from hf_medreport.files.writing import output_folder, readable
    from hf_medreport.inference.engines.on_ray import chosen_engine
    from hf_medreport.inference.engines.slides import slides_by
    from hf_medreport.inference.loading import checked_device
    from hf_medreport.inference.slide_mpp import told_by
    from hf_medreport.inference.tiles import cohort
    from hf_medreport.inference.tiles.listing import list_slides
    from hf_medreport.processing.patch_encoder import PatchEncoder
    from hf_medreport.processing.slide_sources import held_bytes

    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if dtype not in dtypes:
        raise InputError("dtype", f"'{dtype}'", "fp32 or bf16", "choose one of them")
    if revision is not None and (encoder is None or Path(encoder).is_dir()):
        raise InputError("revision", f"'{revision}' for a folder", "one for a repository only", "leave it out")
    listing, share = list_slides(slides, recursive), this_share(shard)
    ray = chosen_engine(engine, ray_address, device)
    refuse_older(output_folder(out), resume, overwrite)  # a wrong --out is said before the work
    if (largest := max(map(held_bytes, share.take(listing.slides)), default=0)) > WORTH_TELLING:
        bound = f"at most {largest >> 20} MiB, and once more for the next one; tiled pyramids take far less"
        typer.echo(f"untiled pictures are held whole: {bound}", err=True)
    of_encoder = {"name_or_folder": encoder or cohort.default_encoder(), "revision": revision, "dtype": dtypes[dtype]}
    model = PatchEncoder.from_pretrained(**of_encoder, device=checked_device(device))
    settings = {"level": level, "mpp": mpp, "patch_px": patch_px, "overlap_px": overlap_px, "tissue": tissue}
    processor = cohort.tile_settings(model, **settings)
    told = told_by(listing.slides, slide_mpp, slide_mpp_csv, override_slide_mpp)
    how = {"resume": resume, "overwrite": overwrite, "clear_claims": clear_dead_claims}
    runs = []
    with (
        cohort.tile_folder(out, model, processor, **how) as folder,
        watched(unit="tiles") as tiles,  # how many is known slide by slide
    ):
        options = {"slide_mpp": told, "override_slide_mpp": override_slide_mpp, "verify": verify}
        options |= {"batch_size": batch_size, "workers": workers, "draw": overlay}
        if ray is not None:
            as_here = (processor, override_slide_mpp, batch_size, workers, overlay)
            options["elsewhere"] = partial(slides_by, ray, of_encoder | {"device": device}, *as_here)
        options |= {"share": share, "on_batch": tiles.update}
        for run in cohort.tile_cohort(listing, folder, model, processor, **options):
            for note in run.notes:
                print_error(f"{readable(run.path.name)}: {note}")
            if run.state == "failed":
                print_error(run.message)
            runs.append(run)
        if ray is not None:
            folder.in_order(item_ids(listing.slides))
        summary = cohort.finish_folder(folder, listing, runs, share)
    print_json(summary) if as_json else _print_table(runs, listing.reasons())
    print_progress(folder.progress)
    raise typer.Exit(exit_code(summary["failures"]))


def _print_table(runs: list, left_out: dict[str, list[str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from hf_medreport.files.writing import readable

    table = Table("slide", "state", "tiles", "ink", "seconds")
    for run in runs:
        ink = "" if run.ink is None else f"{run.ink:.1%}"
        table.add_row(escape(readable(run.path.name)), run.state, str(run.tiles or ""), ink, f"{run.seconds:.1f}")
    Console().print(table)
    for why, names in left_out.items():
        named = ", ".join(names[:NAMED]) + ", ..." * (len(names) > NAMED)
        typer.echo(as_flags(f"left out: {len(names)}, {why}: {named}"))
