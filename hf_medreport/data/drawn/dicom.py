"""A drawn film as a DICOM file: Digital X-Ray Image Storage - For Presentation (PS3.3, A.26).

The window spans the whole range of the stored values, so what is displayed is what was drawn. MONOCHROME1 stores the
film inverted. Identifiers follow from the run, so the same run gives the same bytes. Nobody was imaged: the dates are
made up and only put a prior film before the current one.
"""

import io

import numpy as np

from hf_medreport.phantom.chest.anatomy import FILM_MM

__all__ = ["film_bytes"]

DIGITAL_X_RAY = "1.2.840.10008.5.1.4.1.1.1.1"
# Position, its SNOMED code and meaning, and where the film's right edge and lower edge point.
VIEWS = {
    "frontal": ("PA", "272479007", "postero-anterior", ["L", "F"]),
    "lateral": ("LL", "399173006", "left lateral", ["P", "F"]),
}


def film_bytes(pixels: np.ndarray, patient_id: str, view: str, earlier: bool, inverted: bool, identity: str) -> bytes:
    """The bytes of a DICOM file.

    Args:
        pixels: uint8 or uint16 (size, size), black 0.
        patient_id: whose film.
        view: "frontal" or "lateral".
        earlier: whether this is the prior film.
        inverted: MONOCHROME1, where white is 0, instead of MONOCHROME2.
        identity: the run, which the UIDs follow from.
    """
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    visit = "prior" if earlier else "current"

    def uid(*parts: str) -> str:
        return generate_uid(entropy_srcs=[identity, patient_id, visit, *parts])

    def code(value: str, meaning: str) -> pydicom.Dataset:
        item = pydicom.Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
        return item

    position, view_code, view_meaning, orientation = VIEWS[view]
    levels = 2 ** (8 * pixels.itemsize)
    spacing = [FILM_MM / pixels.shape[0], FILM_MM / pixels.shape[1]]
    film = pydicom.Dataset()
    film.file_meta = pydicom.dataset.FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID, film.SOPInstanceUID = DIGITAL_X_RAY, uid("image", view)

    film.PatientName = film.PatientID = patient_id
    film.PatientBirthDate = film.PatientSex = ""
    film.StudyInstanceUID, film.SeriesInstanceUID = uid("study"), uid("series", view)
    film.StudyDate = film.ContentDate = "20000101" if earlier else "20000401"
    film.StudyTime = film.ContentTime = "120000"
    film.StudyID, film.AccessionNumber, film.ReferringPhysicianName = visit, "", ""
    film.SeriesNumber = film.InstanceNumber = 1 + list(VIEWS).index(view)
    film.SeriesDescription, film.Manufacturer = "drawn film, not a patient", "hf-medreport phantom"

    film.Modality, film.PresentationIntentType = "DX", "FOR PRESENTATION"
    film.BodyPartExamined, film.ViewPosition, film.ImageLaterality = "CHEST", position, "U"
    film.PatientOrientation = orientation
    film.AnatomicRegionSequence = [code("816094009", "Chest")]
    film.ViewCodeSequence = [code(view_code, view_meaning)]
    film.ViewCodeSequence[0].ViewModifierCodeSequence = []
    film.AcquisitionContextSequence = []
    film.ImageType = ["DERIVED", "PRIMARY"]
    film.DerivationDescription = "drawn by a program"
    film.DetectorType, film.BurnedInAnnotation, film.LossyImageCompression = "", "NO", "00"
    film.PixelSpacing = film.ImagerPixelSpacing = [f"{side:.10g}" for side in spacing]

    stored = levels - 1 - pixels if inverted else pixels
    photometric = "MONOCHROME1" if inverted else "MONOCHROME2"
    film.set_pixel_data(stored.astype(pixels.dtype), photometric, 8 * pixels.itemsize, generate_instance_uid=False)
    film.PixelIntensityRelationship, film.PixelIntensityRelationshipSign = "LOG", 1 if inverted else -1
    film.RescaleIntercept, film.RescaleSlope, film.RescaleType = 0, 1, "US"
    film.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    # LINEAR maps the stored values from 0 to levels - 1 onto the whole display, black to white (C.11.2.1.2).
    film.WindowCenter, film.WindowWidth = levels // 2, levels

    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, film, enforce_file_format=True)
    return buffer.getvalue()
