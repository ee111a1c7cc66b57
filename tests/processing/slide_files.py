"""Small slides written for a test, and a slide that is only an array."""

import io

import numpy as np
import pydicom
import tifffile
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless, generate_uid

from hf_medreport.processing.slide_reading import Slide
from hf_medreport.processing.slide_sources import WHOLE_SLIDE, paste

GLASS, PINK = (255, 255, 255), (200, 100, 160)  # saturation 0 and 128 of 255


def glass(width, height, *rectangles, color=PINK):
    """Glass with tissue in rectangles (left, top, right, bottom), the ends left out; a later one may be glass again."""
    pixels = np.full((height, width, 3), GLASS, np.uint8)
    for left, top, right, bottom, *own in rectangles:
        pixels[top:bottom, left:right] = own[0] if own else color
    return pixels


def write_tiff(path, pixels, downsamples=(1,), mpp=0.5, compression="deflate", **options):
    """A tiled pyramid as OpenSlide reads it; a level keeps each n-th px of the first."""
    with tifffile.TiffWriter(path) as tiff:
        for downsample in downsamples:
            if mpp is not None:
                down = mpp[1] if isinstance(mpp, tuple) else mpp
                across = mpp[0] if isinstance(mpp, tuple) else mpp
                options["resolution"] = (10_000 / across / downsample, 10_000 / down / downsample)
                options["resolutionunit"] = "CENTIMETER"
            tiff.write(
                pixels[::downsample, ::downsample],
                tile=(256, 256),
                photometric="rgb",
                compression=compression,
                subfiletype=int(downsample > 1),
                **options,
            )
    return path


def jpeg_slide_dicom(path, pixels, tile_px=16, **elements):
    """A DICOM whole slide of one level that OpenSlide reads."""
    needed = {"ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "FrameOfReferenceUID": "1.2.9"}
    optical_path = Dataset()
    optical_path.OpticalPathIdentifier = "1"
    size = {"ImagedVolumeWidth": pixels.shape[1] * 0.0005, "ImagedVolumeHeight": pixels.shape[0] * 0.0005}
    elements = {**needed, **size, "OpticalPathSequence": [optical_path], **elements}
    return write_slide_dicom(path, pixels, tile_px, jpeg=True, **elements)


def _jpeg(frame):
    picture = io.BytesIO()
    Image.fromarray(frame).save(picture, "JPEG", quality=95, subsampling=0)
    return picture.getvalue()


def write_slide_dicom(path, pixels, tile_px=16, spacing_mm=0.0005, series=None, jpeg=False, **elements):
    """A DICOM whole slide of one level, compressed as RLE, which OpenSlide refuses, or as JPEG."""
    height, width = pixels.shape[:2]
    down, across = -(-height // tile_px), -(-width // tile_px)
    padded = np.full((down * tile_px, across * tile_px, 3), 7, np.uint8)  # the rest of the last tiles is never shown
    padded[:height, :width] = pixels
    frames = padded.reshape(down, tile_px, across, tile_px, 3).swapaxes(1, 2).reshape(-1, tile_px, tile_px, 3)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = WHOLE_SLIDE
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = WHOLE_SLIDE, meta.MediaStorageSOPInstanceUID
    dataset.SeriesInstanceUID = series or generate_uid()
    dataset.Rows = dataset.Columns = tile_px
    dataset.TotalPixelMatrixRows, dataset.TotalPixelMatrixColumns = height, width
    dataset.NumberOfFrames = len(frames)
    dataset.DimensionOrganizationType = "TILED_FULL"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    measures, group = Dataset(), Dataset()
    measures.PixelSpacing = [spacing_mm, spacing_mm]
    group.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [group]
    if jpeg:
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        dataset.PixelData = encapsulate([_jpeg(frame) for frame in frames])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    else:
        dataset.PixelData = frames.tobytes()
        dataset["PixelData"].VR = "OB"
        dataset.compress(RLELossless)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    assert pydicom.dcmread(path).Rows == tile_px
    return path


class ArraySource:
    """A source that holds its levels, each made by keeping every n-th px."""

    name, files = "array", ()

    def __init__(self, pixels, downsamples=(1,)):
        self.levels = [pixels[::downsample, ::downsample] for downsample in downsamples]
        self.level_sizes = tuple(level.shape[1::-1] for level in self.levels)
        self.downsamples = tuple(float(downsample) for downsample in downsamples)

    def region(self, x, y, level, width, height):
        canvas = np.full((height, width, 3), 255, np.uint8)
        downsample = int(self.downsamples[level])
        paste(canvas, self.levels[level], -x // downsample, -y // downsample)
        return canvas

    def close(self):
        pass


def array_slide(pixels, downsamples=(1,), mpp=None):
    return Slide(ArraySource(pixels, downsamples), mpp, ("array", mpp))
