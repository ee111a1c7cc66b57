"""What a compressed stream says of itself, before anything decodes it: its kind, its size, its bits.

DICOM keeps such streams in its frames, and a JPEG file is one.
"""

from typing import NamedTuple

# JPEG's start-of-frame markers; 0xC4, 0xC8 and 0xCC among them are none, 0xF7 is that of JPEG-LS.
FRAME_MARKERS = (*(set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}), 0xF7)
LOSSLESS, ARITHMETIC = (0xC3, 0xC7, 0xCB, 0xCF), range(0xC9, 0xD0)
RESOLUTIONS = b"\xff\x4f\xff\x51"  # how JPEG 2000 begins


class StreamHeader(NamedTuple):
    """`kind` is JPEG, JPEG-LS or JPEG 2000; `coding` what is unusual about a JPEG, else ""."""

    kind: str
    rows: int
    columns: int
    bits: int
    coding: str = ""


def stream_header(data: bytes) -> StreamHeader | None:
    """What a JPEG, JPEG-LS or JPEG 2000 stream says; None of anything else and where the header is damaged."""

    def number(start: int, length: int) -> int:
        return int.from_bytes(data[start : start + length], "big")

    siz = data.find(RESOLUTIONS, 0, 1024)  # bare or in JP2 boxes
    if siz >= 0:
        size = number(siz + 12, 4) - number(siz + 20, 4), number(siz + 8, 4) - number(siz + 16, 4)
        return StreamHeader("JPEG 2000", *size, (number(siz + 42, 1) & 0x7F) + 1)
    position = 2 if data.startswith(b"\xff\xd8") else len(data)
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in FRAME_MARKERS:
            size, bits = (number(position + 5, 2), number(position + 7, 2)), number(position + 4, 1)
            if marker == 0xF7:
                return StreamHeader("JPEG-LS", *size, bits)
            coding = "lossless" if marker in LOSSLESS else "arithmetic" if marker in ARITHMETIC else ""
            return StreamHeader("JPEG", *size, bits, coding)
        position += 2 + number(position + 2, 2)
    return None
