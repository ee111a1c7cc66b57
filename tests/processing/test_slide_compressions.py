"""Compressions that are not read are named; those that few writers get right are read in their colors."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset

from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_compressions import check_syntax, unread_compression, unread_picture
from hf_medreport.processing.slide_reading import open_slide
from tests.processing.slide_files import glass

TISSUE = glass(300, 280, (40, 40, 260, 240), (60, 60, 120, 120, (90, 60, 150)))
READ = "JPEG, LZW, Deflate, Zstandard or no compression, or JPEG 2000 in an Aperio SVS"


@pytest.mark.parametrize("tile", [None, (128, 128)], ids=["strips", "tiles"])
@pytest.mark.parametrize(
    ("compression", "name"),
    [
        ("webp", "WebP (TIFF's 50001)"),
        ("jpegxl", "JPEG XL (TIFF's 50002)"),
        ("jpegxr", "JPEG XR (TIFF's 34934)"),
        ("jpeg2000", "JPEG 2000 (TIFF's 34712)"),
    ],
)
def test_what_is_not_read_is_named(tmp_path, capfd, compression, name, tile):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, TISSUE, tile=tile, photometric="rgb", compression=compression, bigtiff=tile is None)
    with pytest.raises(InputError) as error:
        open_slide(path)
    assert str(error.value) == (
        f"slide.tif: found pixels compressed as {name}; expected {READ}; "
        "save the slide as one of these with the software that wrote it"
    )


def test_a_number_that_nobody_knows():
    error = unread_compression("a.svs", "Unsupported TIFF compression: 61234")
    assert error.found == "pixels compressed as nothing known (TIFF's 61234)"
    assert unread_compression("a.svs", "Short read of file") is None


def test_a_damaged_picture_in_a_compression_that_is_read(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", TISSUE, photometric="rgb", compression="zstd")
    assert unread_picture("a.tif", tmp_path / "a.tif") is None
    (tmp_path / "b.tif").write_bytes(b"II*\0")
    assert unread_picture("b.tif", tmp_path / "b.tif") is None


@pytest.mark.parametrize("compression", [33003, 33005])
def test_aperios_jpeg_2000_in_its_colors(tmp_path, compression):
    """33003 holds YCbCr, 33005 RGB: a writer that mixes them up makes tissue green."""
    path = write_aperio(tmp_path / "slide.svs", TISSUE, compression)
    with open_slide(path) as slide:
        read = slide.read(0, 0, 0, 300, 280).astype(int)
    assert np.abs(read - TISSUE).max() <= (4 if compression == 33003 else 0)  # YCbCr is rounded, twice


def write_aperio(path, pixels, compression, tile_px=240):
    """As Aperio writes: each tile a code stream, whose color space only the compression's number tells."""
    height, width = pixels.shape[:2]

    def tiles():
        for top in range(0, height, tile_px):
            for left in range(0, width, tile_px):
                tile = np.full((tile_px, tile_px, 3), 255, np.uint8)
                part = pixels[top : top + tile_px, left : left + tile_px]
                tile[: part.shape[0], : part.shape[1]] = part
                is_rgb = compression == 33005
                stored = tile if is_rgb else np.asarray(Image.fromarray(tile).convert("YCbCr"))
                yield imagecodecs.jpeg2k_encode(stored, codecformat="J2K", mct=is_rgb, reversible=True)

    description = f"Aperio Image Library v12\r\n{width}x{height} (240x240) J2K|AppMag = 20|MPP = 0.5"
    options = {"tile": (tile_px, tile_px), "photometric": "rgb", "compression": compression, "metadata": None}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(tiles(), shape=pixels.shape, dtype=np.uint8, description=description, **options)
    return path


def header(syntax):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def test_transfer_syntaxes():
    for syntax in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5"):
        check_syntax(header(syntax), "slide.dcm")
    check_syntax(Dataset(), "slide.dcm")
    with pytest.raises(InputError) as error:
        check_syntax(header("1.2.840.10008.1.2.4.100"), "slide.dcm")
    assert str(error.value) == (
        "slide.dcm: found frames in a transfer syntax that nothing here decodes (MPEG2 Main Profile / Main Level); "
        "expected JPEG, JPEG-LS, JPEG 2000, RLE or no compression; "
        "pip install 'hf-medreport[dicom]', or save the slide in another"
    )
