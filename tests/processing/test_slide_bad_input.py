"""Bad slides, one by one, each with its whole message. A maker writes the file; then it is opened and tiled."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from hf_medreport.processing import slide_sources
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_reading import open_slide
from hf_medreport.processing.slide_tiling import tile_slide
from tests.processing.dicom_files import write_dicom
from tests.processing.slide_files import glass, write_slide_dicom, write_tiff

TISSUE = glass(600, 500, (50, 50, 450, 450))
OTSU = {"patch_px": 64, "tissue": "otsu"}
COPY = "copy or export the slide again"
CASES = {}


def bad(failure, message, slide_mpp=None, **settings):
    """Register a maker of a bad slide, how it is then opened and tiled, and the message (after the file's name)."""

    def register(maker):
        assert failure not in CASES
        CASES[failure] = (maker, message, slide_mpp, settings or OTSU)
        return maker

    return register


def file(folder, content, name="slide.svs"):
    (folder / name).write_bytes(content)
    return folder / name


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def png(folder, pixels, mode=None):
    Image.fromarray(pixels, mode).save(folder / "slide.png")
    return folder / "slide.png"


A_SLIDE = "a slide (SVS, NDPI, MRXS, SCN, tiled TIFF, DICOM) or a picture (PNG, JPEG, TIFF)"
CHECK, AGAIN = "check the path", "copy or export the file again"


@bad("missing", f"slide.svs: found no such file; expected an image file; {CHECK}")
def _(folder):
    return folder / "slide.svs"


@bad("folder", "slide.svs: found a folder; expected an image file; give the image files in it one by one")
def _(folder):
    (folder / "slide.svs").mkdir()
    return folder / "slide.svs"


@bad(
    "a link to nothing",
    "slide.svs: found a link to nothing; expected a link to a slide; mount or copy what it points to, or remove it",
)
def _(folder):
    (folder / "slide.svs").symlink_to(folder / "archive" / "slide.svs")
    return folder / "slide.svs"


@bad("empty", f"slide.svs: found an empty file (0 bytes); expected an image file; {AGAIN}")
def _(folder):
    return file(folder, b"")


@bad("text", f"slide.svs: found text; expected {A_SLIDE}; give the slide itself")
def _(folder):
    return file(folder, b"<html>Sign in</html>")


@bad("other bytes", f"slide.svs: found bytes of no known kind of slide; expected {A_SLIDE}; give the slide itself")
def _(folder):
    return file(folder, bytes(range(200)))


@bad(
    "mrxs without its folder",
    "slide.mrxs: found a MRXS without its folder; expected the folder slide/ beside it; "
    "copy the folder along with the file",
)
def _(folder):
    return file(folder, b"\xff\xd8\xff\xe0", "slide.mrxs")


@bad(
    "cut before its directory",
    f"slide.tif: found a damaged or unsupported TIFF; expected a complete slide or picture; {COPY}",
)
def _(folder):
    return cut(write_tiff(folder / "slide.tif", TISSUE, (1, 4)), 0.3)


@bad(
    "tiles behind its end",
    "slide.tif: found a slide that OpenSlide cannot open (Cannot hash TIFF tiles: Short read of file slide.tif: "
    f"0 < 1093); expected a complete slide; {COPY}",
)
def _(folder):
    path = write_tiff(folder / "slide.tif", TISSUE)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tag = tiff.pages[0].tags["TileOffsets"]
        tag.overwrite([offset + 10**8 for offset in tag.value])
    return path


@bad(
    "a tile overwritten",
    f"slide.tif: found damaged pixels at (0, 0) of level 0 (Not a JPEG file: starts with 0x00 0x00); "
    f"expected a complete slide; {COPY}",
)
def _(folder):
    path = write_tiff(folder / "slide.tif", TISSUE, compression="jpeg")
    with tifffile.TiffFile(path) as tiff:
        offset, length = tiff.pages[0].dataoffsets[1], tiff.pages[0].databytecounts[1]
    content = bytearray(path.read_bytes())
    content[offset : offset + length] = bytes(length)
    path.write_bytes(content)
    return path


@bad(
    "compression unknown to OpenSlide",
    "slide.tif: found pixels compressed as LZMA (TIFF's 34925); expected JPEG, LZW, Deflate, Zstandard or no "
    "compression, or JPEG 2000 in an Aperio SVS; save the slide as one of these with the software that wrote it",
)
def _(folder):
    return write_tiff(folder / "slide.tif", TISSUE, compression="lzma")


@bad(
    "level of zero size",
    f"slide.tif: found a slide that OpenSlide cannot open (Invalid TIFF: slide.tif); expected a complete slide; {COPY}",
)
def _(folder):
    path = write_tiff(folder / "slide.tif", TISSUE)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags["ImageLength"].overwrite(0)
    return path


@bad(
    "px that are not square",
    "slide.tif: found px of 0.5 x 0.25 microns; expected square px; "
    "give `slide_mpp` and `override_slide_mpp` if the file is wrong, else resample the slide",
)
def _(folder):
    return write_tiff(folder / "slide.tif", TISSUE, mpp=(0.5, 0.25))


@bad(
    "no resolution",
    "slide.tif: found no microns per px; expected a resolution, to cut tiles at 0.5 microns per px; "
    "give `slide_mpp`, or cut by `level`",
    mpp=0.5,
)
def _(folder):
    return write_tiff(folder / "slide.tif", TISSUE, mpp=None)


@bad(
    "coarser than the wanted resolution",
    "slide.tif: found 0.5 microns per px; expected 0.25 or finer; choose `mpp=0.5` or more",
    mpp=0.25,
)
def _(folder):
    return write_tiff(folder / "slide.tif", TISSUE)


@bad("slide_mpp of 0", "slide_mpp: found 0; expected microns per px, 0.02 to 20; 0.25 is usual for 40x, 0.5 for 20x", 0)
def _(folder):
    return png(folder, TISSUE)


@bad(
    "level 9 of 2",
    "slide.tif: found no level 9; expected a level from 0 to 1; choose another `level`, or use `mpp`",
    level=9,
)
def _(folder):
    return write_tiff(folder / "slide.tif", TISSUE, (1, 4))


@bad(
    "level 1 of a picture",
    "slide.png: found no level 1; expected level 0, its only one; choose another `level`, or use `mpp`",
    level=1,
)
def _(folder):
    return png(folder, TISSUE)


@bad(
    "smaller than a tile",
    "slide.png: found a slide of 600 x 500 px; expected at least one tile of 512 px a side; "
    "choose a smaller `patch_px`",
    patch_px=512,
)
def _(folder):
    return png(folder, TISSUE)


NO_OTSU = "expected a stained region of at least a quarter of a tile; look at the slide; "
SMALLER = "a smaller `patch_px` finds smaller regions"


@bad("all white", f"slide.png: found no tissue; {NO_OTSU}{SMALLER}")
def _(folder):
    return png(folder, glass(600, 500))


@bad("all gray", f"slide.png: found no tissue; {NO_OTSU}{SMALLER}")
def _(folder):
    return png(folder, np.random.default_rng(0).integers(225, 240, (500, 600, 1), np.uint8).repeat(3, axis=2))


@bad(
    "all ink",
    f"slide.png: found no tissue, and 100 % of what is stained taken for ink; {NO_OTSU}"
    "the tissue preset otsu-keep-ink (of hf-medreport tile too) takes it as tissue",
)
def _(folder):
    return png(folder, glass(600, 500, (0, 0, 600, 500), color=(20, 140, 110)))


@bad(
    "too little tissue for the original's preset",
    "slide.png: found no tissue; expected a stained region of more than 16 squares of 512 px; "
    'look at the slide; `tissue="otsu"` takes smaller regions',
    patch_px=64,
)
def _(folder):
    return png(folder, TISSUE)


@bad(
    "one tile only",
    "slide.tif: found no region of 2 tiles or more; expected tissue that fills tiles of 2304 level-0 px; "
    'choose a smaller `patch_px`, or `tissue="otsu"`',
    patch_px=2304,
)
def _(folder):
    return write_tiff(folder / "slide.tif", glass(2432, 2432, (64, 64, 2368, 2368)), (1, 64), metadata=None)


@bad(
    "one px",
    "slide.png: found an image of 1 x 1 px; expected at least 8 px a side; "
    "give the image itself, not an icon or a placeholder",
)
def _(folder):
    return png(folder, TISSUE[:1, :1])


@bad("16 bits", "slide.png: found a picture of mode I;16; expected 8 bits a channel; save it as 8-bit RGB")
def _(folder):
    return png(folder, TISSUE[..., 0].astype(np.uint16) * 256)


@bad("a truncated PNG", f"slide.png: found a truncated PNG; expected a complete slide or picture; {COPY}")
def _(folder):
    return cut(png(folder, np.random.default_rng(0).integers(0, 256, (500, 600, 3), np.uint8)), 0.5)


@bad(
    "a stack of pictures",
    "slide.tif: found 3 pages, but no pyramid that OpenSlide reads; expected one picture or a tiled pyramid; "
    "save it as a tiled TIFF",
)
def _(folder):
    pages = [Image.fromarray(TISSUE)] * 3
    pages[0].save(folder / "slide.tif", save_all=True, append_images=pages[1:])
    return folder / "slide.tif"


@bad(
    "a DICOM film",
    "slide.dcm: found a DICOM file that is no whole slide; expected a VL Whole Slide Microscopy Image; "
    "choose the slide of this study",
)
def _(folder):
    return write_dicom(folder / "slide.dcm", TISSUE[..., 0])


@bad(
    "a DICOM slide that lacks a frame",
    "slide.dcm: found 99 frames organized as TILED_FULL; expected TILED_FULL with 80 frames; "
    "save it as one plane of full tiles",
)
def _(folder):
    return write_slide_dicom(folder / "slide.dcm", TISSUE, 64, NumberOfFrames=99)


@bad(
    "a DICOM slide without columns",
    f"slide.dcm: found a level or tile of 0 x 500 px; expected levels with pixels; {COPY}",
)
def _(folder):
    return write_slide_dicom(folder / "slide.dcm", TISSUE, 64, TotalPixelMatrixColumns=0)


@bad(
    "a DICOM slide cut in its frames",
    "slide.dcm: found frame 39 that no installed plug-in decodes; expected complete frames in a known compression; "
    "pip install 'hf-medreport[dicom]', or copy the slide again",
)
def _(folder):
    return cut(write_slide_dicom(folder / "slide.dcm", TISSUE, 64), 0.5)


@pytest.mark.parametrize("failure", CASES)
def test_message(tmp_path, failure):
    maker, message, slide_mpp, settings = CASES[failure]
    path = maker(tmp_path)
    with pytest.raises(InputError) as error, open_slide(path, slide_mpp) as slide:
        tile_slide(slide, TileImageProcessor(**settings))
    assert str(error.value) == message


def test_without_openslide(tmp_path, monkeypatch):
    from hf_medreport.processing import slide_reading

    monkeypatch.setattr(slide_reading, "openslide", None)
    assert open_slide(png(tmp_path, TISSUE)).level_sizes == ((600, 500),)  # a picture needs none
    with pytest.raises(InputError) as error:
        open_slide(write_tiff(tmp_path / "slide.tif", TISSUE))
    assert str(error.value) == (
        "slide.tif: found a slide, but no OpenSlide; expected openslide-python; pip install 'hf-medreport[wsi]'"
    )


def test_a_picture_too_large_to_be_held(tmp_path, monkeypatch):
    monkeypatch.setattr(slide_sources, "MAX_PICTURE_PIXELS", 1000)
    with pytest.raises(InputError) as error:
        open_slide(png(tmp_path, TISSUE))
    assert str(error.value) == (
        "slide.png: found an untiled picture of 600 x 500 px, which would be held whole; expected at most 1,000 px, or "
        "a tiled pyramid; make it one: vips tiffsave PICTURE SLIDE.tif --tile --pyramid --compression jpeg --bigtiff"
    )
