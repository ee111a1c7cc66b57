"""Slides -> a folder of feature files, one a slide: resumable, and shared by any number of processes.

- A file that is there counts only if it is whole and was made from this slide, with this encoder and these settings;
  else the slide is done again.
- One bad slide never ends the cohort.
- A process claims a slide before it works on it (`.STEM.claim`; see `hf_medreport.files.claims`). Processes share a
  folder where each is started with `resume`, and the list where each has its share of it (`hf_medreport.files.shares`).
- The features come last, after the overlay: they are the mark that a slide is done.
"""

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from filelock import BaseFileLock

from hf_medreport.files.claims import clear_dead_claims, drop_claim, holder_of, take_claim
from hf_medreport.files.items import item_ids, why
from hf_medreport.files.marks import quick_mark
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.shares import Share, finish_share, this_share
from hf_medreport.files.writing import readable
from hf_medreport.inference.figures.tiles import overlay
from hf_medreport.inference.tiles.encode import SlideRun, encode_slides
from hf_medreport.inference.tiles.listing import OVERLAY, LeftOut, Listing, list_slides
from hf_medreport.processing.feature_files import PatchFeatures, validate_features, write_features
from hf_medreport.processing.feature_origin import made_with
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import PatchEncoder
from hf_medreport.processing.slide_reading import check_slide_mpp, open_slide, told_mpp
from hf_medreport.processing.slide_sources import slide_files
from hf_medreport.processing.slide_tiling import tile_slide
from hf_medreport.registry import default_model, shipped
from hf_medreport.version import __version__

NO_MATTER = ("slide", "encoder", "version")  # names: a file is known again by content and settings
# Of the disk, not of a slide: the next one would meet it too.
NO_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
GONE = "not among these slides any more; its features stay"


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


def tile_cohort(
    sources: Iterable[str | os.PathLike] | Listing,
    folder: RunFolder,
    encoder: PatchEncoder,
    processor: TileImageProcessor,
    *,
    slide_mpp: float | Mapping[str, float] | None = None,
    override_slide_mpp: bool = False,
    batch_size: int = 32,
    workers: int | None = None,
    draw: bool = True,
    verify: bool = False,
    on_batch: Callable[[int], None] = lambda tiles: None,
    share: Share | None = None,
    elsewhere: Callable[[Iterable[SlideRun]], Iterator[SlideRun]] | None = None,
) -> Iterator[SlideRun]:
    """Write `STEM.safetensors` (and `STEM_tiles.png`) for each slide of this process's share.

    Args:
        sources: slides, or folders of slides; or their listing, from `list_slides`.
        folder: of this run, from `tile_folder`.
        encoder: tile -> vector.
        processor: how to tile, from `tile_settings`.
        slide_mpp, override_slide_mpp: as in `open_slide`; a mapping has them by path, see `told_by`.
        batch_size: tiles a pass.
        workers: threads that read; by default one a core.
        draw: whether to draw the overlay.
        verify: whether all bytes of a slide are hashed again that an earlier run did, also where size, time, and the
            first and last MiB are as they were. The features are hashed in any case.
        on_batch: told how many tiles were encoded.
        share: of the slides; by default what torchrun gave to this process, or all.
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
    listing = list_slides(sources)
    paths = listing.slides
    ids = dict(zip(paths, item_ids(paths), strict=True))
    paths = (this_share() if share is None else share).take(paths)
    folder.total = len(paths)
    made = header(encoder, processor)
    claims: dict[Path, BaseFileLock] = {}
    marks: dict[Path, str] = {}

    def prepared(path: Path) -> SlideRun:
        """The slide opened, claimed and tiled; or its end, where nothing is to be encoded."""
        stem, told = listing.stems[path], told_mpp(slide_mpp, path)
        run = SlideRun(path, folder.path / f"{stem}.safetensors", told, started=time.perf_counter())
        file = folder.path / f".{stem}.claim"
        try:
            _check_length(run)
            claim = take_claim(file)
            if claim is None:
                run.state, run.message = "elsewhere", f"claimed by {holder_of(file)}"
                return run
            claims[path] = claim
            folder.begun(run.file.name)
            folder.begun(f"{stem}{OVERLAY}")
            marks[path] = quick_mark(slide_files(path)) if path.is_file() else ""
            known = None if verify else _known_digest(folder, ids[path], run.file, marks[path])
            if elsewhere is None or run.file.exists():
                prepare(run, processor, made, draw, known, override_slide_mpp)
            if elsewhere is not None and run.state == "encoding":
                run.slide_mpp, run.notes = told, ()  # who makes it is to read and tell it anew
        except Exception as error:
            run.fail(why(path.name, error))
        return run

    def finished(run: SlideRun) -> SlideRun:
        try:
            if run.picture is not None:
                picture, name = run.picture, f"{run.file.stem}{OVERLAY}"
                folder.write(name, lambda file: picture.save(file, format="PNG"))
            if run.state == "encoding":
                write_features(run.file, PatchFeatures(run.features, run.tiling.coordinates, run.info))
                run.state = "done"
            run.seconds = time.perf_counter() - run.started
            _keep(run, folder, ids[run.path], marks.pop(run.path, ""))
        except Exception as error:
            if isinstance(error, OSError) and error.errno in NO_DISK:
                raise
            run.fail(str(error) if isinstance(error, InputError) else why(run.path.name, error))
        if run.state == "failed":
            folder.fail()
        run.features = run.tiling = run.picture = None  # large, and on disk by now
        if run.path in claims:
            drop_claim(claims.pop(run.path))
        return run

    options = {"batch_size": batch_size, "workers": workers or os.cpu_count() or 1, "on_batch": on_batch}
    encode = elsewhere or partial(encode_slides, encoder=encoder, processor=processor, **options)
    busy = []
    try:
        with closing(_one_ahead(prepared, paths)) as ahead:
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


def _check_length(run: SlideRun) -> None:
    """Refuse a name so long that its features, or what they are called until they are whole, cannot have it."""
    longest = run.file.with_name(f".{run.file.name}.part")
    try:
        os.lstat(longest)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            found = f"a name of {len(os.fsencode(run.file.stem))} bytes"
            remedy = "rename it, or link to it by a shorter name"
            raise InputError(run.path.name, found, "a name that files made from it can have", remedy) from error
        raise


def _known_digest(folder: RunFolder, id: str, file: Path, mark: str) -> str | None:
    """The digest of a slide of this mark that an earlier run, or another process, has made a file of; or None."""
    if not mark or not file.exists():
        return None
    for learn in (lambda: None, folder.reread):
        learn()
        entry = _entry_of(folder, id, file.name)
        if entry is not None and entry.get("mark") == mark:
            return entry["digest"]
    return None


def _entry_of(folder: RunFolder, id: str, file: str) -> dict | None:
    """What a folder's records say of a file: under the slide's id, or the one that an older list gave it."""
    own = folder.entries.get(id)
    if own is not None and file in own["files"]:  # nearly always: all others are not looked through for each slide
        return own
    others = list(folder.entries.values())  # a list: another thread may add to them
    return next((entry for entry in reversed(others) if file in entry["files"]), None)


def _keep(run: SlideRun, folder: RunFolder, id: str, mark: str) -> None:
    """Note that a slide is done, with its files."""
    if run.state not in ("done", "kept"):
        return
    files, digest = [run.file.name], run.info["slide_fingerprint"]
    picture = f"{run.file.stem}{OVERLAY}"
    if (folder.path / picture).exists():
        files.append(picture)
    known = folder.entries.get(id, {"digest": None, "files": ()})
    same = known["digest"] == digest and set(known["files"]) == set(files) and known.get("mark") == mark
    if run.state == "kept" and same:
        folder.done_items += 1
    else:
        folder.add(id, slide_record(run, id), files, digest, mark=mark)


def tile_folder(
    out: str | os.PathLike,
    encoder: PatchEncoder,
    processor: TileImageProcessor,
    *,
    resume: bool = False,
    overwrite: bool = False,
    clear_claims: bool = False,
) -> RunFolder:
    """The folder of a run of these settings, a context manager.

    Args:
        out: the folder, made when absent.
        encoder, processor: as of `tile_cohort`. What is said of single slides is in their files, and may change.
        resume, overwrite: of `RunFolder`. Processes that share the folder each need `resume`.
        clear_claims: remove the claims that no process of this machine holds, where no other machine works on the
            folder.

    Raises:
        InputError: as `RunFolder`; or one of several processes without `resume`.
    """
    this_share(resume=resume)  # of several processes none begins without
    settings = {key: value for key, value in header(encoder, processor).items() if key not in NO_MATTER}
    folder = RunFolder(out, "tile", settings, resume=resume, overwrite=overwrite, records="records.jsonl")
    if clear_claims:
        clear_dead_claims(folder.path)
    return folder


def finish_folder(
    folder: RunFolder,
    sources: Iterable[str | os.PathLike] | Listing,
    runs: list[SlideRun],
    share: Share | None = None,
) -> dict:
    """Write what became of each slide of this process's share, and what was left out, whose content is returned; of
    all slides `summary.json` and the manifest, where no other share is missing."""
    listing = list_slides(sources)
    _add_gone(folder, listing)
    ids, share = item_ids(listing.slides), this_share() if share is None else share
    of_path = dict(zip(listing.slides, ids, strict=True))
    records = {of_path[run.path]: slide_record(run, of_path[run.path]) for run in runs}
    results, left_out = [records[id] for id in share.take(ids)], listing.to_json()
    finish_share(folder, share, ids, results, partial(write_summary, folder), left_out)
    return to_json(results, left_out)


def write_summary(folder: RunFolder, slides: list[dict], left_out: dict) -> dict:
    """Write `summary.json`, whose content is returned, and the manifest.

    Args:
        folder: of the run.
        slides: the `slide_record` of each.
        left_out: from `Listing.to_json`.
    """
    content = to_json(slides, left_out)
    folder.write_json("summary.json", content)
    folder.finish(packages=("torch", "transformers", "numpy", "openslide-python", "tifffile"))
    return content


def _add_gone(folder: RunFolder, listing: Listing) -> None:
    """Tell of slides that an earlier run has done and this one was not given."""
    told = {f"{stem}.safetensors" for stem in listing.stems.values()}
    for id, entry in reversed(folder.entries.items()):
        features = {name for name in entry["files"] if name.endswith(".safetensors")}
        if told.isdisjoint(features) and any((folder.path / name).exists() for name in features):
            listing.left_out.append(LeftOut(Path(id), GONE, id))
            told |= features  # an older list may have had another id for it


def to_json(slides: list[dict], left_out: dict) -> dict:
    """What `summary.json` and a screen's JSON hold."""
    failures = sum(slide["state"] == "failed" for slide in slides)
    return {"version": __version__, "slides": slides, "failures": failures, **left_out}


def slide_record(run: SlideRun, id: str) -> dict:
    """What became of a slide."""
    return {
        "id": id,
        "slide": readable(run.path.name),
        "fingerprint": run.info.get("slide_fingerprint"),
        "state": run.state,
        "tiles": run.tiles,
        "ink": None if run.ink is None else round(run.ink, 4),
        "seconds": round(run.seconds, 2),
        "message": run.message,
        "notes": list(run.notes),
    }


def prepare(
    run: SlideRun,
    processor: TileImageProcessor,
    made: dict[str, str],
    draw: bool,
    fingerprint: str | None,
    override: bool,
) -> None:
    """Fill in the run's tiling, header and overlay, or find that its file is there; `fingerprint` of the slide, where
    it is known; `made` from `header`."""
    run.info = {**made, "slide": readable(run.path.name)}
    picture = None if run.file is None else run.file.with_name(f"{run.file.stem}{OVERLAY}")
    with open_slide(run.path, run.slide_mpp, override) as slide:
        run.slide_mpp, run.notes = slide.mpp, slide.notes
        run.info["slide_mpp"] = f"{slide.mpp:g}" if slide.mpp_told else ""
        _find_kept(run, slide.fingerprint() if fingerprint is None else fingerprint)
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
        if run.state == "kept":
            return
        run.ink = run.tiling.ink
        if run.ink is not None:
            run.info["ink"] = f"{run.ink:.4f}"
        if run.tiling.ink_note:
            run.info["ink_note"] = run.tiling.ink_note
            run.notes += (run.tiling.ink_note,)


def _find_kept(run: SlideRun, fingerprint: str) -> None:
    """See whether the slide's file is there, whole, and made from this slide as this run would make it."""
    run.info["slide_fingerprint"] = fingerprint
    if run.file is not None and run.file.exists():
        known_by = {key: value for key, value in run.info.items() if key not in NO_MATTER}
        try:
            kept = validate_features(run.file, known_by)
            run.tiles, run.state = len(kept.features), "kept"
            run.ink = float(kept.info["ink"]) if "ink" in kept.info else None
            run.notes += tuple(filter(None, [kept.info.get("ink_note")]))
        except InputError as error:
            run.message = f"made anew: {error}"


def header(encoder: PatchEncoder, processor: TileImageProcessor) -> dict[str, str]:
    """The entries of a header that are the same for every slide of a run."""
    kind = made_with(encoder.revision, processor, None)
    del kind["mpp"]  # of each slide
    return {
        **kind,
        "overlap_px": str(processor.overlap_px),
        "tissue": processor.tissue,
        "input_px": str(processor.size),
        "image_mean": ", ".join(f"{value:g}" for value in processor.image_mean),
        "image_std": ", ".join(f"{value:g}" for value in processor.image_std),
        "encoder": readable(encoder.name),
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
