"""Small DICOM files written for a test."""

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"


def write_dicom(path, pixels: np.ndarray | None, syntax=ExplicitVRLittleEndian, **elements):
    """Write a gray or RGB image; `elements` are DICOM keywords that replace or add to what follows from the pixels."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = CR_IMAGE
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CR_IMAGE, meta.MediaStorageSOPInstanceUID
    dataset.PatientName = "Planted^Name"
    if pixels is not None:
        color = pixels.ndim == 3 and pixels.shape[-1] == 3
        dataset.Rows, dataset.Columns = pixels.shape[:2] if color or pixels.ndim == 2 else pixels.shape[1:3]
        dataset.SamplesPerPixel = 3 if color else 1
        dataset.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
        if color:
            dataset.PlanarConfiguration = 0
        if pixels.ndim == 3 and not color:
            dataset.NumberOfFrames = pixels.shape[0]
        bits = pixels.dtype.itemsize * 8
        dataset.BitsAllocated = dataset.BitsStored = bits
        dataset.HighBit = elements.get("BitsStored", bits) - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        dataset.PixelData = pixels.tobytes()
        dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def compressed(path, pixels: np.ndarray, syntax, **elements):
    """The same, compressed by pydicom's own encoder (RLE) or given frames."""
    write_dicom(path, pixels, **elements)
    dataset = pydicom.dcmread(path)
    dataset.compress(syntax)
    dataset.save_as(path)
    return path


def encapsulated(path, pixels: np.ndarray, syntax, codestream: bytes, **elements):
    """The same, its pixels replaced by one compressed frame."""
    write_dicom(path, pixels, **elements)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    return path


def jpeg_lossless(pixels: np.ndarray, precision: int) -> bytes:
    """A lossless JPEG (ITU-T T.81, process 14) that predicts each pixel from its left neighbor.

    Differences are coded as their number of bits, in a Huffman table of 17 five-bit codes, and then these bits.
    """
    height, width = pixels.shape
    left = np.empty(pixels.shape, int)
    left[:, 1:] = pixels[:, :-1]
    left[1:, 0], left[0, 0] = pixels[:-1, 0], 1 << (precision - 1)
    bits = ""
    for difference in (pixels.astype(int) - left).ravel().tolist():
        category = abs(difference).bit_length()
        bits += f"{category:05b}"
        if category:
            bits += f"{difference if difference > 0 else difference + (1 << category) - 1:0{category}b}"
    bits += "1" * (-len(bits) % 8)
    scan = bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)).replace(b"\xff", b"\xff\x00")

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content

    lengths = bytes([0, 0, 0, 0, 17] + [0] * 11)
    frame = bytes([precision]) + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes([1, 1, 0x11, 0])
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xC3, frame),
            segment(0xC4, bytes([0]) + lengths + bytes(range(17))),
            segment(0xDA, bytes([1, 1, 0, 1, 0, 0])),  # selection value 1: the left neighbor
            scan,
            b"\xff\xd9",
        ]
    )
