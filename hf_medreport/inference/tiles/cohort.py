"""Slides -> a folder of feature files, one a slide: resumable, and shared by any number of processes.

- A file that is there counts only if it is whole and was made from this slide, with this encoder and these settings;
  else the slide is done again.
- One bad slide never ends the cohort.
- A process locks a slide before it works on it (`.STEM.claim`). The lock belongs to the system, so it goes with the
  process, however that ends: nothing stale is left. Processes share a folder where each is started with `resume`, and
  the list where each has its share of it (`files.shares`).
- The features come last, after the overlay: they are the mark that a slide is done.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from hf_medreport.files.items import item_ids, why
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.shares import Share, finish_share, this_share
from hf_medreport.files.writing import readable
from hf_medreport.inference.figures.tiles import overlay
from hf_medreport.inference.tiles.encode import SlideRun, encode_slides
from hf_medreport.processing.feature_files import PatchFeatures, validate_features, write_features
from hf_medreport.processing.file_suffixes import PYRAMID_SUFFIXES
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import PatchEncoder
from hf_medreport.processing.slide_reading import check_slide_mpp, open_slide
from hf_medreport.processing.slide_sources import dicom_series
from hf_medreport.processing.slide_tiling import tile_slide
from hf_medreport.registry import default_model, shipped
from hf_medreport.version import __version__

NO_MATTER = ("slide", "encoder", "version")  # names: a file is known again by content and settings
SUFFIXES = (*PYRAMID_SUFFIXES, ".png", ".jpg", ".jpeg")
OVERLAY = "_tiles.png"


def default_encoder() -> Path:
    """The folder of the patch encoder that ships."""
    folder = shipped()[default_model("slide")] / "patch_encoder"
    if not folder.is_dir():
        raise InputError("encoder", "none shipped with this version", "a folder or ORG/NAME", "pass `encoder`")
    return folder


def tile_settings(encoder: PatchEncoder, **given) -> TileImageProcessor:
    """How to tile for an encoder: as was said; where nothing was, as its files say; else HistGen's way.

    Args:
        given: arguments of `TileImageProcessor`; None counts as not said.

    Raises:
        InputError: a setting that cannot be, or tiles that the encoder does not take.
    """
    given = {name: value for name, value in given.items() if value is not None}
    saved = dict(encoder.preprocessing)
    if "level" in given or "mpp" in given:  # one takes the other's place
        saved |= {"level": None, "mpp": None}
    processor = TileImageProcessor(**(saved | given))
    encoder.encode(np.zeros((1, processor.patch_px, processor.patch_px, 3), np.uint8), processor)
    return processor


def slide_paths(sources: Iterable[str | os.PathLike]) -> list[Path]:
    """The slides of a list of files and folders (a folder's own, not those further down), in order, none twice.

    Of a folder's DICOM files one a series is taken, and overlays of an earlier run are not.

    Raises:
        InputError: a folder without slides, or two slides whose features would have the same name.
    """
    paths = []
    for source in map(Path, sources):
        if source.is_dir():
            inside = _one_a_series(path for path in sorted(source.iterdir()) if _may_be_slide(path))
            if not inside:
                found, expected = "a folder without slides", f"files that end in {', '.join(SUFFIXES)}"
                raise InputError(source.name or str(source), found, expected, "give the slides themselves")
            paths += inside
        else:
            paths.append(source)
    paths = list({path.absolute(): path for path in paths}.values())
    for stem, count in Counter(path.stem for path in paths).items():
        if count > 1:
            names = ", ".join(path.name for path in paths if path.stem == stem)
            found, remedy = f"{count} slides of one name ({names})", "tile them into another `out`"
            raise InputError(stem, found, "one slide for each file of features", remedy)
    return paths


def _may_be_slide(path: Path) -> bool:
    """By its name; overlays are our own, where features lie beside their slides."""
    return path.suffix.lower() in SUFFIXES and not path.name.endswith(OVERLAY) and path.is_file()


def _one_a_series(paths: Iterable[Path]) -> list[Path]:
    """The paths with one file of each DICOM series, the largest: its files are levels of one slide."""
    largest = {}
    for path in paths:
        series = (dicom_series(path) if path.suffix.lower() == ".dcm" else None) or path
        if series not in largest or path.stat().st_size > largest[series].stat().st_size:
            largest[series] = path
    return sorted(largest.values())


def tile_cohort(
    sources: Iterable[str | os.PathLike],
    folder: RunFolder,
    encoder: PatchEncoder,
    processor: TileImageProcessor,
    *,
    share: Share | None = None,
    **options,
) -> Iterator[SlideRun]:
    """Write `STEM.safetensors` (and `STEM_tiles.png`) for each slide of this process's share.

    Args:
        sources: slides, or folders of slides.
        folder, encoder, processor, options: of `tile_slides`.
        share: of the slides; by default what torchrun gave to this process, or all.

    Yields:
        As `tile_slides`.
    """
    paths = slide_paths(sources)
    share = this_share() if share is None else share
    mine = dict(share.take(list(zip(paths, item_ids(paths), strict=True))))
    folder.total = len(mine)
    yield from tile_slides(mine, folder, encoder, processor, **options)


def tile_slides(
    ids: dict[Path, str],
    folder: RunFolder,
    encoder: PatchEncoder,
    processor: TileImageProcessor,
    *,
    slide_mpp: float | None = None,
    batch_size: int = 32,
    workers: int | None = None,
    draw: bool = True,
    on_batch: Callable[[int], None] = lambda tiles: None,
    elsewhere: Callable[[Iterable[SlideRun]], Iterator[SlideRun]] | None = None,
) -> Iterator[SlideRun]:
    """Write `STEM.safetensors` (and `STEM_tiles.png`) for each of these slides.

    Args:
        ids: slide -> its id, see `files.items.item_ids`.
        folder: of this run, from `tile_folder`.
        encoder: tile -> vector.
        processor: how to tile, from `tile_settings`.
        slide_mpp: microns per level-0 px of slides that do not say.
        batch_size: tiles a pass.
        workers: threads that read; by default one a core.
        draw: whether to draw the overlay.
        on_batch: told how many tiles were encoded.
        elsewhere: what tiles and encodes slides that are not done yet, in place of this process; see
            `engines.slides.slides_by`.

    Yields:
        A run a slide, as they end: "done", "kept", "failed" or "elsewhere" (another process has it still).

    Raises:
        InputError: arguments that cannot be; not a bad slide.
        OSError: the disk took no more; what was finished stays.
    """
    for name, value in (("batch_size", batch_size), ("workers", workers)):
        if value is not None and value < 1:
            raise InputError(name, str(value), "at least 1", "correct it")
    check_slide_mpp(slide_mpp)
    made = header(encoder, processor, slide_mpp)
    claims: dict[Path, FileLock] = {}

    def prepared(path: Path) -> SlideRun:
        """The slide opened, claimed and tiled; or its end, where nothing is to be encoded."""
        run = SlideRun(path, folder.path / f"{path.stem}.safetensors", slide_mpp, started=time.perf_counter())
        claim = take_claim(folder.path / f".{path.stem}.claim")
        if claim is None:
            run.state = "elsewhere"
            return run
        claims[path] = claim
        try:
            folder.begun(run.file.name)
            folder.begun(f"{path.stem}{OVERLAY}")
            if elsewhere is None or run.file.exists():
                prepare(run, processor, made, draw)
        except Exception as error:
            run.fail(why(path.name, error))
        return run

    def finished(run: SlideRun) -> SlideRun:
        if run.picture is not None:
            picture, name = run.picture, f"{run.path.stem}{OVERLAY}"
            folder.write(name, lambda file: picture.save(file, format="PNG"))
        if run.state == "encoding":
            try:
                write_features(run.file, PatchFeatures(run.features, run.tiling.coordinates, run.info))
                run.state = "done"
            except InputError as error:  # NaN from the encoder
                run.fail(str(error))
        run.seconds = time.perf_counter() - run.started
        run.features = run.tiling = run.picture = None  # large, and on disk by now
        _keep(run, folder, ids[run.path])
        if run.path in claims:
            drop_claim(claims.pop(run.path))
        return run

    options = {"batch_size": batch_size, "workers": workers or os.cpu_count() or 1, "on_batch": on_batch}
    encode = elsewhere or partial(encode_slides, encoder=encoder, processor=processor, **options)
    busy = []
    try:
        with closing(_one_ahead(prepared, list(ids))) as ahead:
            for run in encode(ahead):
                if run.state == "elsewhere":
                    busy.append(run.path)
                else:
                    yield finished(run)
        # Whoever had the others may have failed or died since.
        for run in encode(map(prepared, busy)):
            yield finished(run)
    finally:
        for claim in claims.values():
            drop_claim(claim)


def _keep(run: SlideRun, folder: RunFolder, id: str) -> None:
    """Note that a slide is done, with its files, or that it failed."""
    if run.state == "failed":
        folder.fail()
    if run.state not in ("done", "kept"):
        return
    files, digest = [run.file.name], run.info["slide_fingerprint"]
    picture = f"{run.path.stem}{OVERLAY}"
    if (folder.path / picture).exists():
        files.append(picture)
    known = folder.entries.get(id, {"digest": None, "files": ()})
    if run.state == "kept" and known["digest"] == digest and set(known["files"]) == set(files):
        folder.done_items += 1
    else:
        folder.add(id, slide_record(run, id), files, digest)


def tile_folder(
    out: str | os.PathLike,
    encoder: PatchEncoder,
    processor: TileImageProcessor,
    slide_mpp: float | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> RunFolder:
    """The folder of a run of these settings, a context manager.

    Args:
        out: the folder, made when absent.
        encoder, processor, slide_mpp: as of `tile_cohort`.
        resume, overwrite: of `RunFolder`. Processes that share the folder each need `resume`.

    Raises:
        InputError: as `RunFolder`; or one of several processes without `resume`.
    """
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world > 1 and not resume:
        found, expected = f"none, in one of {world} processes", "`resume`, with which they share a folder"
        raise InputError("resume", found, expected, "give it to all of them, and to a new folder too")
    settings = {key: value for key, value in header(encoder, processor, slide_mpp).items() if key not in NO_MATTER}
    return RunFolder(out, "tile", settings, resume=resume, overwrite=overwrite, records="records.jsonl")


def finish_folder(
    folder: RunFolder, sources: Iterable[str | os.PathLike], runs: list[SlideRun], share: Share | None = None
) -> dict:
    """Write what became of each slide of this process's share, whose content is returned; of all slides
    `summary.json` and the manifest, where no other share is missing."""
    paths = slide_paths(sources)
    ids, share = item_ids(paths), this_share() if share is None else share
    of_path = dict(zip(paths, ids, strict=True))
    records = {record["id"]: record for record in (slide_record(run, of_path[run.path]) for run in runs)}
    results = [records[id] for id in share.take(ids)]
    finish_share(folder, share, ids, results, lambda slides: write_summary(folder, slides))
    return to_json(results)


def write_summary(folder: RunFolder, slides: list[dict]) -> dict:
    """Write `summary.json`, whose content is returned, and the manifest.

    Args:
        folder: of the run.
        slides: the `slide_record` of each.
    """
    content = to_json(slides)
    folder.write_json("summary.json", content)
    folder.finish(packages=("torch", "transformers", "numpy", "openslide-python", "tifffile"))
    return content


def to_json(slides: list[dict]) -> dict:
    """What `summary.json` and a screen's JSON hold."""
    failures = sum(slide["state"] == "failed" for slide in slides)
    return {"version": __version__, "slides": slides, "failures": failures}


def slide_record(run: SlideRun, id: str) -> dict:
    """What became of a slide."""
    return {
        "id": id,
        "slide": readable(run.path.name),
        "fingerprint": run.info.get("slide_fingerprint"),
        "state": run.state,
        "tiles": run.tiles,
        "seconds": round(run.seconds, 2),
        "message": run.message,
    }


def prepare(run: SlideRun, processor: TileImageProcessor, made: dict[str, str], draw: bool) -> None:
    """Fill in the run's tiling, header and overlay, or find that its file is there. `made` as from `header`."""
    with open_slide(run.path, run.slide_mpp) as slide:
        run.info = {**made, "slide": readable(run.path.name), "slide_fingerprint": slide.fingerprint()}
        picture = None if run.file is None else run.file.with_name(f"{run.path.stem}{OVERLAY}")
        if run.file is not None and run.file.exists():
            known_by = {key: value for key, value in run.info.items() if key not in NO_MATTER}
            try:
                run.tiles = len(validate_features(run.file, known_by).features)
                run.state = "kept"
            except InputError as error:
                run.message = f"made anew: {error}"
        if run.state == "kept" and (not draw or picture.exists()):
            return
        if run.state != "kept" and picture is not None:
            picture.unlink(missing_ok=True)  # of other tiles than those to come
        run.tiling = tile_slide(slide, processor)
        run.tiles = len(run.tiling)
        run.info["level"] = str(run.tiling.level)
        run.info["mpp"] = "" if run.tiling.mpp is None else f"{run.tiling.mpp:.6g}"
        run.info["level0_px"] = str(run.tiling.level0_px)
        if draw:
            run.picture = overlay(slide, run.tiling)


def header(encoder: PatchEncoder, processor: TileImageProcessor, slide_mpp: float | None) -> dict[str, str]:
    """The entries of a header that are the same for every slide of a run."""
    cut = f"level {processor.level}" if processor.mpp is None else f"mpp {processor.mpp:g}"
    return {
        "cut_at": cut,
        "slide_mpp": "" if slide_mpp is None else f"{slide_mpp:g}",
        "patch_px": str(processor.patch_px),
        "overlap_px": str(processor.overlap_px),
        "tissue": processor.tissue,
        "input_px": str(processor.size),
        "image_mean": ", ".join(f"{value:g}" for value in processor.image_mean),
        "image_std": ", ".join(f"{value:g}" for value in processor.image_std),
        "encoder": readable(encoder.name),
        "encoder_revision": encoder.revision,
        "dtype": str(encoder.model.dtype).removeprefix("torch."),
        "version": __version__,
    }


def _one_ahead(prepared: Callable[[Path], SlideRun], paths: list[Path]) -> Iterator[SlideRun]:
    """The prepared slides in order; the next one is prepared while this one is encoded."""
    with ThreadPoolExecutor(1, thread_name_prefix="tissue") as pool:
        upcoming = None
        for path in paths:
            ready, upcoming = upcoming, pool.submit(prepared, path)
            if ready is not None:
                yield ready.result()
        if upcoming is not None:
            yield upcoming.result()


# --- claims -----------------------------------------------------------------------------------------------------------


def take_claim(path: Path) -> FileLock | None:
    """Lock a slide for this process; None where another one has it.

    Args:
        path: the claim's file.
    """
    claim = FileLock(path, blocking=False, thread_local=False)  # taken by one thread and dropped by another
    try:
        claim.acquire()
    except Timeout:
        return None
    return claim


def drop_claim(claim: FileLock) -> None:
    """Remove the claim's file, then let go of its lock: whoever waits for a file that is gone takes a new one."""
    with suppress(PermissionError):  # Windows keeps a file that is open
        Path(claim.lock_file).unlink(missing_ok=True)
    claim.release()
