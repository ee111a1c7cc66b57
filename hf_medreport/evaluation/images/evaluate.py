"""Are generated pictures like real ones? Two folders, every metric of images on them, and why one is left out.

    scores = evaluate_images("real", "generated", features="models/biomedclip", per_modality=True)
    print(images_table(scores))

Pairs (one name in both folders) give MSE, PSNR, SSIM and MS-SSIM (`pixels`); the sets as wholes FID, KID, inception
score and CLIP score (`distribution`) on the features of an extractor (`features`), and MS-SSIM diversity; each picture
alone snr, contrast, sharpness and uniformity (`quality`). What a metric misses stands in its module.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hf_medreport.evaluation.images.distribution import (
    SPLITS,
    clip_score,
    frechet_distance,
    inception_score,
    kernel_distance,
    size_warning,
)
from hf_medreport.evaluation.images.features import Extractor, load_extractor
from hf_medreport.evaluation.images.folders import (
    Failure,
    list_pictures,
    modality,
    pair_names,
    read_captions,
    read_picture,
)
from hf_medreport.evaluation.images.pixels import DIVERSITY_PAIRS, ms_ssim, ms_ssim_diversity, mse, psnr, scales, ssim
from hf_medreport.evaluation.images.quality import contrast, sharpness, snr, uniformity
from hf_medreport.files.writing import readable
from hf_medreport.processing.input_error import InputError
from hf_medreport.version import __version__

__all__ = ["evaluate_images", "images_table"]

PAIR_METRICS = {"mse": mse, "psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim}
QUALITY = {"snr": snr, "contrast": contrast, "sharpness": sharpness, "uniformity": uniformity}
CONVENTIONS = {
    "mse": "mean over pairs, full scale 1",
    "psnr": "dB, full scale 1, mean over the pairs that differ",
    "ssim": "Wang et al. 2004: Gaussian 11 px, sigma 1.5, inside only; mean over pairs",
    "ms_ssim": "Wang et al. 2003: 5 scales, fewer below 176 px; mean over pairs",
    "fid": "Heusel et al. 2017, not square-rooted, on the features named",
    "kid": "Binkowski et al. 2018: unbiased, 100 subsets, on the features named, not scaled",
    "inception_score": "Salimans et al. 2016, of the fake set, by the classes of the model named",
    "clip_score": "100 max(cosine, 0), mean over captioned fake pictures",
    "diversity": f"mean MS-SSIM of {DIVERSITY_PAIRS} random pairs of a set; lower is more diverse",
    "snr": "mean / noise after Immerkaer 1996",
    "contrast": "standard deviation of gray values in [0, 1], Peli 1990",
    "sharpness": "mean squared Sobel gradient, Krotkov 1988",
    "uniformity": "sum of squared shares of the 256 gray values",
}


@dataclass(frozen=True)
class _Side:
    """One folder as read: a row each readable picture, in the order of `names`."""

    folder: str | Path
    names: list[str]
    features: np.ndarray  # (pictures, width)
    logits: np.ndarray | None  # (pictures, classes)
    quality: np.ndarray  # (pictures, 4)
    deep: list[bool]  # more than 8 bits
    sha256: str

    def rows(self, below: str) -> list[int]:
        """The pictures whose names begin so: "" for all, "ct/" for those of a modality."""
        return [row for row, name in enumerate(self.names) if name.startswith(below)]


@dataclass(frozen=True)
class _Pictures:
    """Some pictures of a folder, each read when asked for."""

    folder: str | Path
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> np.ndarray:
        return read_picture(self.folder, self.names[index])


def evaluate_images(
    real: str | Path,
    fake: str | Path,
    *,
    features: str | Path | None = None,
    per_modality: bool = False,
    seed: int = 0,
    batch_size: int = 16,
    device: str | None = None,
    progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
) -> dict:
    """Score a folder of generated pictures against one of real ones.

    Args:
        real, fake: folders, see `folders`; captions stand in the fake one's metadata file.
        features: of `load_extractor`.
        per_modality: score each subfolder too.
        seed: of subsets, splits and pairs for diversity.
        batch_size: pictures a pass of the extractor.
        progress: wraps what is read, given with its length.

    Returns:
        a JSON-ready dict: `all`, the scores of everything (None where one cannot be had, and why in its `notes`),
        `modalities` {name: such scores}, `pairs` (a row each), `failures`, `warnings`, `conventions`, `features`.

    Raises:
        InputError: a folder without a readable picture, an extractor that cannot be had, or with `per_modality` a
            picture outside of subfolders.
    """
    folders = {"real": real, "fake": fake}
    listed = {label: list_pictures(folder, label) for label, folder in folders.items()}
    modalities = _modalities(listed) if per_modality else []
    extractor, failures, sides = load_extractor(features, device), [], {}
    for label, names in listed.items():
        names = progress(names, len(names))
        sides[label] = _read_side(label, folders[label], names, extractor, batch_size, failures)
    pairs = pair_names(sides["real"].names, sides["fake"].names, failures)
    pair_rows = _score_pairs(real, fake, progress(pairs, len(pairs)), failures)
    captioned = _score_captions(sides["fake"], extractor, batch_size, failures)

    def score(below: str) -> dict:
        return _score_group(below, sides, pair_rows, captioned, seed)

    return {
        "real": Path(real).resolve().name,
        "fake": Path(fake).resolve().name,
        "features": extractor.name,
        "all": score(""),
        "modalities": {one: score(f"{one}/") for one in modalities},
        "pairs": pair_rows,
        "failures": [asdict(failure) for failure in failures],
        "warnings": _warnings(modalities, sides),
        "conventions": CONVENTIONS,
        "seed": seed,
        "hf_medreport": __version__,
        "sha256": {label: side.sha256 for label, side in sides.items()},
    }


def _modalities(listed: dict[str, list[str]]) -> list[str]:
    """The subfolders of both folders; InputError for a picture that lies in none."""
    for label, names in listed.items():
        outside = [name for name in names if modality(name) is None]
        if outside:
            found = f"{len(outside)} of the files of `{label}` in no subfolder ({outside[0]})"
            raise InputError("per_modality", found, "one subfolder a modality", "sort them, or leave it out")
    return sorted({modality(name) for names in listed.values() for name in names})


def _read_side(label, folder, names: Iterable[str], extractor: Extractor, batch_size: int, failures: list) -> _Side:
    """Each picture once: its quality and its features. What cannot be read is added to the failures."""
    read, deep, quality, found, waiting, digest = [], [], [], [], [], hashlib.sha256()
    bad = []
    for name in names:
        try:
            picture = read_picture(folder, name)
        except InputError as error:
            bad.append(Failure(label, name, str(error)))
            continue
        read.append(name)
        deep.append(bool(np.abs(255 * picture - np.rint(255 * picture)).max() > 1e-3))
        quality.append([measure(picture) for measure in QUALITY.values()])
        digest.update(os.fsencode(name) + str(picture.shape).encode() + picture.tobytes())
        waiting.append(picture)
        if len(waiting) == batch_size:
            found.append(extractor.images(waiting))
            waiting = []
    if waiting:
        found.append(extractor.images(waiting))
    if not read:
        none = f"no readable picture among {len(bad)} file{'s' * (len(bad) > 1)} (the first: {bad[0].message})"
        raise InputError(label, none, "a folder of pictures", "check the folder")
    failures += bad
    features = np.concatenate([vectors for vectors, _ in found])
    logits = None if found[0][1] is None else np.concatenate([logits for _, logits in found])
    return _Side(folder, read, features, logits, np.array(quality), deep, digest.hexdigest())


def _score_pairs(real, fake, pairs: Iterable[tuple[str, str]], failures: list) -> list[dict]:
    """A row of pair metrics a pair, with None for the infinite PSNR of equal pictures; unlike pairs are failures."""
    rows = []
    for name, other in pairs:
        given, made = read_picture(real, name), read_picture(fake, other)
        try:
            figures = {metric: score(given, made) for metric, score in PAIR_METRICS.items()}
        except InputError as error:
            error = InputError(readable(name), error.found, error.expected, error.remedy)
            failures.append(Failure("both", name, str(error)))
            continue
        if np.isinf(figures["psnr"]):
            figures["psnr"] = None
        rows.append({"real": name, "fake": other, **figures, "ms_ssim_scales": scales(given.shape)})
    return rows


def _score_captions(side: _Side, extractor: Extractor, batch_size: int, failures: list) -> dict[str, float] | None:
    """{name: CLIP score} of the captioned pictures; None where the extractor reads no text."""
    if extractor.texts is None:
        return None
    captions = read_captions(side.folder, side.names, failures)
    rows = [row for row, name in enumerate(side.names) if name in captions]
    if not rows:
        return {}
    names = [side.names[row] for row in rows]
    batches = [names[start : start + batch_size] for start in range(0, len(names), batch_size)]
    texts = np.concatenate([extractor.texts([captions[name] for name in batch]) for batch in batches])
    return dict(zip(names, clip_score(side.features[rows], texts).tolist(), strict=True))


def _score_group(below: str, sides: dict[str, _Side], pair_rows: list[dict], captioned, seed: int) -> dict:
    """All scores of the pictures whose names begin so; None for those that cannot be had, with the reason."""
    rows = {label: side.rows(below) for label, side in sides.items()}
    real, fake = (side.features[rows[label]] for label, side in sides.items())
    logits = sides["fake"].logits if sides["fake"].logits is None else sides["fake"].logits[rows["fake"]]
    pictures = {
        label: _Pictures(side.folder, [side.names[row] for row in rows[label]]) for label, side in sides.items()
    }
    pairs = [row for row in pair_rows if row["real"].startswith(below)]
    scores = {"n_real": len(real), "n_fake": len(fake), "n_pairs": len(pairs)}
    scores["equal_pairs"] = sum(row["psnr"] is None for row in pairs)
    tasks = {
        **{(metric,): lambda metric=metric: [_mean([row[metric] for row in pairs], "pair")] for metric in PAIR_METRICS},
        ("fid",): lambda: [frechet_distance(real, fake)],
        ("kid", "kid_std", "kid_subset_size"): lambda: kernel_distance(real, fake, seed=seed),
        ("inception_score", "inception_score_std", "inception_score_splits"): lambda: _inception(logits, seed),
        ("clip_score", "n_captions"): lambda: _mean_caption(captioned, below),
        ("diversity_real",): lambda: [ms_ssim_diversity(pictures["real"], seed=seed)],
        ("diversity_fake",): lambda: [ms_ssim_diversity(pictures["fake"], seed=seed)],
    }
    for place, measure in enumerate(QUALITY):
        for label, side in sides.items():
            column = side.quality[rows[label], place].tolist()
            tasks[f"{measure}_{label}",] = lambda column=column: [_mean(column, "picture")]
    notes = {}
    for names, task in tasks.items():
        try:
            values = task()
        except InputError as error:
            values, notes[names[0]] = [None] * len(names), f"{error.found}; needs {error.expected}"
        scores |= dict(zip(names, values, strict=True))
    return scores | {"notes": notes}


def _mean(values: list[float | None], what: str) -> float:
    """The mean of those that are finite."""
    finite = [value for value in values if value is not None and np.isfinite(value)]
    if not finite:
        found = f"infinite for each {what}" if values else f"no {what}"
        raise InputError("scores", found, f"a {what} that differs" if values else f"at least one {what}", "")
    return float(np.mean(finite))


def _inception(logits: np.ndarray | None, seed: int) -> tuple[float, float, int]:
    if logits is None:
        raise InputError("features", "features without class probabilities", "a classifier as `features`", "")
    splits = max(1, min(SPLITS, len(logits) // 10))  # at least ten pictures a split, where there are as many
    return *inception_score(logits, splits=splits, seed=seed), splits


def _mean_caption(captioned: dict[str, float] | None, below: str) -> tuple[float, int]:
    if captioned is None:
        raise InputError("features", "features of a model that reads no text", "a CLIP-like model as `features`", "")
    found = [score for name, score in captioned.items() if name.startswith(below)]
    if not found:
        raise InputError("captions", "no captioned picture", "a metadata.jsonl or metadata.csv in `fake`", "")
    return float(np.mean(found)), len(found)


def _warnings(modalities: list[str], sides: dict[str, _Side]) -> list[str]:
    """What would mislead a reader of the table."""
    real, fake = sides["real"], sides["fake"]
    lines = []
    for group, below in [("all", ""), *((one, f"{one}/") for one in modalities)]:
        line = size_warning(len(real.rows(below)), len(fake.rows(below)), real.features.shape[1])
        lines += [f"{group}: {line}"] if line else []
    if any(real.deep) != any(fake.deep):
        label, deep = ("real", real.deep) if any(real.deep) else ("fake", fake.deep)
        lines.append(
            f"{sum(deep)} of {len(deep)} {label} pictures have more than 8 bits and are shown in their own range or "
            "window, the others as they are: brightness and contrast of the two sets may not compare"
        )
    return lines


def images_table(scores: dict) -> str:
    """The scores as text: a line a metric, a column for all and each modality; below them what to know."""
    columns = [("all", scores["all"]), *scores["modalities"].items()]
    rows = [["", *(title for title, _ in columns)]]
    for name in scores["all"]:
        if name != "notes":
            rows.append([name, *(_cell(column[name]) for _, column in columns)])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    lines.append(f"\nfeatures of fid, kid, inception_score, clip_score: {scores['features']}")
    for title, column in columns:
        for note in dict.fromkeys(column["notes"].values()):
            names = ", ".join(name for name, other in column["notes"].items() if other == note)
            lines.append(f"{title}: no {names}: {note}")
    return "\n".join(lines + [f"warning: {line}" for line in scores["warnings"]])


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
