"""What a table of pictures costs beside decoding them, and how much memory its rows take.

A CSV of 100,000 rows over drawn films (512 px as PNG and JPEG, 2,000 px as JPEG). Memory: what one epoch of rows takes
at most, shuffled by the default buffer, for 10,000 and for 100,000 of them. Speed: items of a `PictureStream` (squares
of 256 px in [-1, 1]) against `PIL.Image.open(path).load()` of the same films and nothing else, both in one process that
alternates between them; seconds of the processor, so that others on the machine count less; best of 25. A ratio above 1
is a JPEG that is decoded smaller. Writes benchmarks/results/picture_rows.json.

    python benchmarks/speed/picture_rows.py
"""

import os
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import torch
from measure import write_result
from PIL import Image

from hf_medreport.data.pictures.stream import PictureStream
from hf_medreport.data.pictures.table import PictureTable
from hf_medreport.files.writing import write_text
from hf_medreport.phantom.chest.corpus import ChestCorpus

ROWS, ROUNDS, SIZE, BOUND = 100_000, 25, 256, 0.9
SOURCES = {"png_512": (512, 10, 20), "jpg_512": (512, 10, 40), "jpg_2000": (2000, 2, 6)}  # px, films, timed


def write_table(folder: Path, name: str, films: list[Path], rows: int) -> Path:
    """A CSV whose rows name the films in turns; a description has a comma, quoted."""
    names = zip(range(rows), cycle(film.name for film in films))
    lines = (f'{film},"small left pleural effusion, row {row}",CXR\n' for row, film in names)
    return write_text(folder / f"{name}_{rows}.csv", "path,Text,modality\n" + "".join(lines))


def draw(folder: Path, name: str) -> list[Path]:
    """The films of a source."""
    side, count, _ = SOURCES[name]
    corpus, suffix = ChestCorpus(n=count, seed=0, size=side), name[:3]
    paths = [folder / f"{name}_{index}.{suffix}" for index in range(count)]
    for index, path in enumerate(paths):
        Image.fromarray(corpus[index].image).save(path, **({"quality": 95} if suffix == "jpg" else {}))
    return paths


def decode(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()


def best_of_processor(functions: dict[str, Callable]) -> dict[str, float]:
    """Each function's best seconds of the processor; they alternate, and the first round is a warm-up."""
    seconds = {name: [] for name in functions}
    for round_number in range(ROUNDS + 1):
        for name, function in functions.items():
            start = time.process_time()
            function()
            seconds[name] += [time.process_time() - start] * bool(round_number)
    return {name: min(times) for name, times in seconds.items()}


def memory(path: Path) -> tuple[float, float]:
    """MB that the rows of an epoch take at most, and microseconds of the processor that a row takes, untraced."""
    stream = PictureStream(PictureTable(path, size=SIZE))
    start = time.process_time()
    count = sum(1 for _ in stream.order(0))
    seconds = time.process_time() - start
    tracemalloc.start()
    assert sum(1 for _ in stream.order(0)) == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / 1e6, 2), round(seconds / count * 1e6, 2)


def main() -> None:
    torch.set_num_threads(1)
    result = {"rows": ROWS, "square_px": SIZE, "bound": BOUND}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, (_, _, timed) in SOURCES.items():
            films = draw(folder, name)
            path = write_table(folder, name, films, ROWS)
            if name == "png_512":
                few, _ = memory(write_table(folder, name, films, ROWS // 10))
                many, a_row = memory(path)
                result |= {"memory_mb": {ROWS // 10: few, ROWS: many}, "microseconds_a_row_without_its_picture": a_row}
            items = iter(PictureStream(PictureTable(path, size=SIZE)))
            best = best_of_processor(
                {
                    "stream": lambda items=items, timed=timed: deque(islice(items, timed), maxlen=0),
                    "decoding": lambda films=films, timed=timed: deque(map(decode, islice(cycle(films), timed)), 0),
                }
            )
            milliseconds = {each: round(1e3 * seconds / timed, 3) for each, seconds in best.items()}
            result[name] = {"milliseconds": milliseconds, "ratio": round(best["decoding"] / best["stream"], 3)}
    # The more other work there is, the colder the caches are in which a square is made after a film was decoded.
    write_result("picture_rows", result | {"load_average": round(os.getloadavg()[0], 1)})


if __name__ == "__main__":
    main()
