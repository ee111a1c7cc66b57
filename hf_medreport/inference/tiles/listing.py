"""Which slides a list of files and folders holds, what their features are called, and what of it is left out, and why.

    listing = list_slides(["slides"], recursive=True)
    listing.slides, listing.left_out

A folder is looked through by names; of DICOM, and of files whose name says nothing, the header is read, once.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hf_medreport.files.items import item_ids
from hf_medreport.files.writing import readable
from hf_medreport.processing.dicom_elements import WHOLE_SLIDE
from hf_medreport.processing.dicom_series import Instance, instance, is_volume
from hf_medreport.processing.file_suffixes import FEATURE_SUFFIXES, PYRAMID_SUFFIXES
from hf_medreport.processing.input_error import InputError

__all__ = ["OVERLAY", "SUFFIXES", "LeftOut", "Listing", "list_slides", "one_a_series"]

PICTURES = (".png", ".jpg", ".jpeg")
SUFFIXES = (*PYRAMID_SUFFIXES, *PICTURES)
OVERLAY = "_tiles.png"
# Slides of other scanners and microscopes, and what slides are packed into.
UNREAD_SUFFIXES = (
    *(".qptiff", ".czi", ".isyntax", ".i2syntax", ".lif", ".xlef", ".vsi", ".ets", ".zvi", ".nd2", ".oir", ".oib"),
    *(".afi", ".mds", ".mdsx", ".kfb", ".kfbf", ".sdpc", ".dyqx", ".tmap", ".tron", ".szi", ".dzi", ".zarr", ".ims"),
    *(".jp2", ".jpx", ".j2k", ".jxl", ".webp", ".avif", ".heic", ".bmp"),
    *(".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"),
)
UNFINISHED_SUFFIXES = (".part", ".partial", ".filepart", ".crdownload", ".download", ".aria2", ".tmp")
ENDINGS = (*SUFFIXES, *UNREAD_SUFFIXES, *FEATURE_SUFFIXES, ".dicom", ".dic")  # which are no part of a slide's name
# What exporters call the pictures that they lay beside a slide, or the folders that they put these into.
BESIDE = r"(?:thumb(?:nail)?|label|macro|overview|preview|associated|map2|opt|mask)s?"
BESIDE_NAME = re.compile(rf"(.+?)[ _.-]*{BESIDE}[ _.-]*\d*|{BESIDE}[ _.-]+(.+)|(.+)\(\d+,\d+\)", re.IGNORECASE)

APPLE = "AppleDouble, which macOS writes beside a file"
UNREAD = "of a kind that nothing here reads"
UNFINISHED = "not copied to its end"
SUBFOLDER = "a subfolder, which `recursive` reads"
DANGLING = "a link to nothing"
CLOSED = "a folder that cannot be opened"
PICTURE = "a thumbnail, label or other picture of a slide beside it"
LEVEL = "a level of a slide that is there"
NO_SLIDE = "a label or another picture of a DICOM series, never read"
OTHER_DICOM = "DICOM, but no whole slide"

Found = dict[Path, tuple[str, ...]]  # a file as it was given, the folders between it and what was given


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not read, and why; `id` where an earlier run knows it, and nothing is there any more."""

    path: Path
    why: str
    id: str = ""


@dataclass
class Listing:
    """The slides in their order, how the names of their features begin, and what is left out of what was given."""

    slides: list[Path] = field(default_factory=list)
    stems: dict[Path, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def reasons(self) -> dict[str, list[str]]:
        """The names of what is left out, by reason."""
        named = defaultdict(list)
        for each in self.left_out:
            named[each.why].append(each.id or readable(each.path.name))
        return dict(named)

    def to_json(self) -> dict:
        """How many are left out, and each of them."""
        ids = iter(item_ids([each.path for each in self.left_out if not each.id]))
        files = [{"id": each.id or next(ids), "why": each.why} for each in self.left_out]
        return {"left_out": len(files), "left_out_files": files}


def list_slides(sources: "Iterable[str | os.PathLike] | Listing", recursive: bool = False) -> Listing:
    """The slides of a list of files and folders, none twice; a listing as it is.

    Of a DICOM series one file is taken, the largest of its levels; overlays of an earlier run are not. A file that is
    given by itself is always a slide, unless it belongs to another that is there: then it is left out.

    Args:
        sources: slides, or folders of slides.
        recursive: also what lies further down in folders. The features of `b1/slide1.svs` are then `b1_slide1`.

    Raises:
        InputError: a folder without slides, or two slides whose features would have the same name.
    """
    if isinstance(sources, Listing):
        return sources
    listing, found = Listing(), {}
    for source in map(Path, sources):
        if os.path.isdir(source) and source.suffix.lower() not in UNREAD_SUFFIXES:
            before = len(listing.left_out)
            inside = dict(_inside(source, recursive, listing.left_out))
            whole = _one_a_slide(inside, listing.left_out, keep_alone=False)
            if not whole:
                raise _no_slides(source, listing.left_out[before:])
            found |= whole
        else:
            found[source] = ()
    paths = {path.absolute(): path for path in found}.values()
    listing.slides = list(_one_a_slide({path: found[path] for path in paths}, listing.left_out, keep_alone=True))
    listing.stems = _stems(listing.slides, found, recursive)
    listing.left_out = list({each.path.absolute(): each for each in listing.left_out}.values())
    return listing


def _inside(folder: Path, recursive: bool, left_out: list[LeftOut]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """What may be slides in a folder, each with the folders above it; the rest is left out, or was never one."""
    waiting, entered = [(folder, ())], {folder.resolve()}
    while waiting:
        here, above = waiting.pop(0)
        try:
            inside = sorted(here.iterdir())
        except OSError:
            left_out.append(LeftOut(here, CLOSED))
            continue
        for path in inside:
            if os.path.isdir(path):
                why = _why_not_folder(path)
                if why is None and not recursive:
                    why = SUBFOLDER if _may_hold_slides(path) else ""
                if why:
                    left_out.append(LeftOut(path, why))
                elif why is None and path.resolve() not in entered:  # a link may lead back
                    entered.add(path.resolve())
                    waiting.append((path, (*above, path.name)))
            elif (why := _why_not_file(path)) is None:
                yield path, above
            elif why:
                left_out.append(LeftOut(path, why))


def _why_not_folder(path: Path) -> str | None:
    """None for a folder that may hold slides; "" for what is of a slide, or hidden."""
    if path.suffix.lower() in UNREAD_SUFFIXES:
        return UNREAD
    is_part = path.with_name(f"{path.name}.mrxs").exists() or path.with_name(f"{path.name}.MRXS").exists()
    return "" if is_part or path.name.startswith(".") or path.name == "__MACOSX" else None


def _may_hold_slides(folder: Path) -> bool:
    """By names alone."""
    names = (name for _, _, names in os.walk(folder) for name in names if not name.startswith("."))
    return any(_is_named_slide(Path(name)) or Path(name).suffix.lower() in UNREAD_SUFFIXES for name in names)


def _is_named_slide(path: Path) -> bool:
    """Whether a name is a slide's, or a DICOM file's without an ending; overlays are our own."""
    suffix = path.suffix.lower()
    return (suffix in SUFFIXES and not path.name.endswith(OVERLAY)) or suffix[1:].isdecimal() or not suffix


def _why_not_file(path: Path) -> str | None:
    """None for what may be a slide; "" for what nobody would take for one."""
    suffix = path.suffix.lower()
    if path.name.startswith("._"):
        return APPLE
    if path.name.endswith(OVERLAY):
        return ""
    if not os.path.exists(path):
        return None if suffix in SUFFIXES else DANGLING
    if suffix in SUFFIXES:
        found = instance(path) if suffix == ".dcm" else None
        return OTHER_DICOM if found is not None and found.class_uid not in ("", WHOLE_SLIDE) else None
    if not os.path.isfile(path) or suffix in FEATURE_SUFFIXES or path.name.startswith("."):
        return ""
    if suffix in (*UNREAD_SUFFIXES, *UNFINISHED_SUFFIXES):
        return UNREAD if suffix in UNREAD_SUFFIXES else UNFINISHED
    found = instance(path)
    if found is None or not found.class_uid:
        return ""
    return None if found.class_uid == WHOLE_SLIDE else OTHER_DICOM


def _one_a_slide(paths: Found, left_out: list[LeftOut], keep_alone: bool) -> Found:
    """The paths without what belongs to another of them; `left_out` is added to, `keep_alone` as of `one_a_series`."""
    kept = one_a_series(paths, left_out, keep_alone)
    whole_last = sorted(kept, key=lambda path: path.suffix.lower() not in PICTURES)
    names = {(path.parent, name): path for path in whole_last for name in (path.stem.lower(), path.name.lower())}
    apart = {}
    for path in kept:
        if path.name.startswith("._"):
            left_out.append(LeftOut(path, APPLE))
        elif len(kept) > 1 and _is_of_another(path, paths[path], names):
            left_out.append(LeftOut(path, PICTURE))
        else:
            apart[path] = paths[path]
    return apart


def one_a_series(paths: Iterable[Path], left_out: list[LeftOut], keep_alone: bool = True) -> list[Path]:
    """The paths with one file of each DICOM series of a slide, the largest of its levels; the others are left out.

    Args:
        paths: of files of any kind.
        left_out: is added to.
        keep_alone: also keep labels and the like whose slide is not there: whoever reads them says what they are.
    """
    series: dict[object, dict[Path, Instance]] = defaultdict(dict)
    for path in (paths := list(paths)):
        found = None if path.suffix.lower() in SUFFIXES and path.suffix.lower() != ".dcm" else instance(path)
        if found is not None and found.class_uid == WHOLE_SLIDE:
            series[(path.absolute().parent, found.series) if found.series else path][path] = found
    dropped = {}
    for files in series.values():
        levels = [path for path, found in files.items() if is_volume(found)]
        kept = max(levels, key=lambda path: files[path].pixels, default=None)
        for path in files:
            if path != kept and (kept or not keep_alone):
                dropped[path] = LEVEL if path in levels else NO_SLIDE
    left_out += [LeftOut(path, why) for path, why in dropped.items()]
    return [path for path in paths if path not in dropped]


def _is_of_another(path: Path, above: tuple[str, ...], names: dict[tuple[Path, str], Path]) -> bool:
    """Whether a picture is one of a slide beside it, by its name or its folder's.

    Args:
        path: of a file.
        above: the folders that it was found in.
        names: what may be slides by folder and name, in lower case with and without its ending; where a picture and
            another file have the same, the other file.
    """
    stem, suffix = path.stem.lower(), path.suffix.lower()
    is_picture = suffix in PICTURES
    if is_picture and (re.fullmatch(BESIDE, stem) or above and re.fullmatch(BESIDE, above[-1], re.IGNORECASE)):
        return True
    if is_picture and names[path.parent, stem].suffix.lower() not in PICTURES:
        return True
    match = BESIDE_NAME.fullmatch(stem) if is_picture or suffix in (".tif", ".tiff") else None
    return match is not None and any((path.parent, group) in names for group in match.groups() if group)


def _stems(paths: list[Path], above: Found, recursive: bool) -> dict[Path, str]:
    """How the names of each slide's features begin: as the slide's own, behind those of the folders above it."""
    stems, number = {}, Counter()
    for path in paths:
        own = path.stem if path.suffix.lower() in ENDINGS else path.name  # `.100` of 1.2.3.100 is no ending
        stem = "_".join([*above[path], own])
        while recursive and stem in number:
            number[stem] += 1
            stem = f"{stem}-{number[stem]}"
        number[stem] = 1
        stems[path] = stem
    for stem, count in Counter(stems.values()).items():
        if count > 1:
            names = ", ".join(path.name for path in paths if stems[path] == stem)
            found, remedy = f"{count} slides of one name ({names})", "tile them into another `out`"
            raise InputError(stem, found, "one slide for each file of features", remedy)
    return stems


def _no_slides(folder: Path, left_out: list[LeftOut]) -> InputError:
    found, expected = "a folder without slides", f"files that end in {', '.join(SUFFIXES)}"
    counts = Counter(each.why for each in left_out)
    if counts:
        found += f" (left out: {'; '.join(f'{count}, {why}' for why, count in counts.items())})"
    remedy = "give `recursive`" if counts[SUBFOLDER] else "give the slides themselves"
    return InputError(folder.name or str(folder), found, expected, remedy)
