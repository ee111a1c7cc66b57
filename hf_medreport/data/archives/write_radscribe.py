"""RadScribe's data as files: one object a line, and the films of all lines in one archive."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping

from hf_medreport.files.run_folder import RunFolder


def write_lines_and_films(folder: RunFolder, split: str, records: Iterable[tuple[dict, Mapping[str, bytes]]]) -> int:
    """Write `SPLIT.jsonl` and `SPLIT.tar.gz`; no time, owner or name of this machine is in the archive.

    Args:
        records: each line, and the films that it names: member -> bytes.

    Returns:
        the number of lines.
    """
    count = 0
    with (
        folder.open(f"{split}.jsonl") as lines,
        folder.open(f"{split}.tar.gz") as file,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for row, films in records:
            for name, content in films.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            lines.write((json.dumps(row) + "\n").encode())
            count += 1
    return count
