"""What streams say of themselves, of encoders of three families and by hand."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.processing.stream_header import StreamHeader, stream_header
from tests.processing.dicom_files import jpeg_lossless

PIXELS = np.arange(24 * 16, dtype=np.uint16).reshape(24, 16)


@pytest.mark.parametrize(
    ("stream", "header"),
    [
        (jpeg_lossless(PIXELS, 12), StreamHeader("JPEG", 24, 16, 12, "lossless")),
        (imagecodecs.jpeg8_encode(PIXELS.astype(np.uint8)), StreamHeader("JPEG", 24, 16, 8)),
        (imagecodecs.jpeg8_encode(PIXELS, bitspersample=12), StreamHeader("JPEG", 24, 16, 12)),
        (imagecodecs.jpegls_encode(PIXELS), StreamHeader("JPEG-LS", 24, 16, 16)),
        (imagecodecs.jpeg2k_encode(PIXELS, codecformat="j2k"), StreamHeader("JPEG 2000", 24, 16, 16)),
        (imagecodecs.jpeg2k_encode(PIXELS, codecformat="jp2"), StreamHeader("JPEG 2000", 24, 16, 16)),
        (b"\xff\xd8\xff\xff\xff\xc9\0\x0b\x08\0\x05\0\x06\x01", StreamHeader("JPEG", 5, 6, 8, "arithmetic")),
        (b"\xff\xd8\xff\xc4\0\x04\0\0\xff\xda\0\x02", None),
        (b"", None),
    ],
    ids=["lossless", "baseline", "12 bits", "JPEG-LS", "j2k", "jp2", "arithmetic", "no frame", "empty"],
)
def test_headers(stream, header):
    assert stream_header(stream) == header


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\xff\x4f\xff\x51"]))
def test_any_bytes_end(data, start):
    found = stream_header(start + data)
    assert found is None or found.kind in ("JPEG", "JPEG-LS", "JPEG 2000")
