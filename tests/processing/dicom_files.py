"""Small DICOM files written for a test."""

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"


def write_dicom(path, pixels: np.ndarray | None, syntax=ExplicitVRLittleEndian, **elements):
    """Write a grey or RGB image; `elements` are DICOM keywords that replace or add to what follows from the pixels."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = CR_IMAGE
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CR_IMAGE, meta.MediaStorageSOPInstanceUID
    dataset.PatientName = "Planted^Name"
    if pixels is not None:
        colour = pixels.ndim == 3 and pixels.shape[-1] == 3
        dataset.Rows, dataset.Columns = pixels.shape[:2] if colour or pixels.ndim == 2 else pixels.shape[1:3]
        dataset.SamplesPerPixel = 3 if colour else 1
        dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        if colour:
            dataset.PlanarConfiguration = 0
        if pixels.ndim == 3 and not colour:
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
