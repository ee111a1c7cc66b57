"""imagecodecs as a decoding plug-in of pydicom: JPEG of 8 and 12 bits, lossless JPEG, JPEG-LS, JPEG 2000.

pydicom decodes RLE by itself and 8-bit JPEG by Pillow. The rest comes from imagecodecs (BSD), whose libjpeg-turbo,
CharLS and OpenJPEG refuse damaged streams instead of ending the process. Each module that reads compressed DICOM calls
`register()` once; pydicom's plug-ins are a table of the process, and a second copy of this file leaves it as it is.

A frame is handed on as its stream holds it: no color is converted, which pydicom does by the photometric
interpretation.
"""

try:
    import imagecodecs
except ImportError:
    imagecodecs = None
try:
    from pydicom import uid
    from pydicom.pixels import get_decoder
except ImportError:
    uid = None

LABEL = "imagecodecs"
END_OF_IMAGE, PADDING = b"\xff\xd9", 16  # bytes that may follow it, and itself
INSTALL = "pip install 'imagecodecs>=2024.6.1'"
DECODER_DEPENDENCIES = {}  # what pydicom names where a plug-in is not available
if uid is not None:
    JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
    JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
    JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
    DECODER_DEPENDENCIES = dict.fromkeys((*JPEG, *JPEG_LS, *JPEG_2000), ("imagecodecs>=2024.6.1",))


def is_available(syntax: str) -> bool:
    """Whether frames of a transfer syntax can be decoded here."""
    return imagecodecs is not None and syntax in DECODER_DEPENDENCIES


def register() -> None:
    """Tell pydicom of this plug-in, once in a process."""
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if LABEL not in decoder.available_plugins:
            decoder.add_plugin(LABEL, (__name__, "decode_frame"))


def decode_frame(source: bytes, runner) -> bytes:
    """One frame, decompressed; `runner` is pydicom's, and is told how the bytes lie."""
    if runner.transfer_syntax not in JPEG_2000 and END_OF_IMAGE not in source[-PADDING:]:
        raise ValueError("a truncated stream")  # of which libjpeg-turbo would make up the rest
    if runner.transfer_syntax in JPEG_LS:
        pixels = imagecodecs.jpegls_decode(source)
    elif runner.transfer_syntax in JPEG_2000:
        pixels = imagecodecs.jpeg2k_decode(source)
        if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
            runner.set_option("photometric_interpretation", "RGB")  # OpenJPEG undoes these two
    else:
        color = "UNKNOWN" if runner.samples_per_pixel == 1 else "RGB"  # the same in and out: nothing is converted
        pixels = imagecodecs.jpeg8_decode(source, colorspace=color, outcolorspace=color)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    runner.set_option("planar_configuration", 0)
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
