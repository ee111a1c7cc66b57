"""Every kind of bad input and exactly what is said of it. How each is made: `bad_input.py`."""

import pytest

from hf_medreport.processing.input_error import InputError
from tests.bad_input import MAKERS

# (kind of input, what is wrong with it) -> the whole message; FOLDER stands for the test's folder.
MESSAGES = {
    ("PNG", "truncated"): "film.png: found a truncated PNG; expected a complete image; copy or export the file again",
    ("PNG", "zero bytes"): (
        "film.png: found an empty file (0 bytes); expected an image file; copy or export the file again"
    ),
    ("PNG", "text inside"): (
        "film.png: found text; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG"
    ),
    ("PNG", "missing"): "film.png: found no such file; expected an image file; check the path",
    ("PNG", "1 x 1"): (
        "film.png: found an image of 1 x 1 px"
        "; expected at least 8 px a side; give the image itself, not an icon or a placeholder"
    ),
    ("PNG", "all black"): (
        "film.png: found every pixel equal (a blank image)"
        "; expected an image with contrast; check that the export or the exposure worked"
    ),
    ("JPEG", "truncated"): (
        "film.jpg: found a truncated JPEG; expected a complete image; copy or export the file again"
    ),
    ("JPEG", "zero bytes"): (
        "film.jpg: found an empty file (0 bytes); expected an image file; copy or export the file again"
    ),
    ("JPEG", "text inside"): (
        "film.jpg: found text; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG"
    ),
    ("JPEG", "missing"): "film.jpg: found no such file; expected an image file; check the path",
    ("JPEG", "1 x 1"): (
        "film.jpg: found an image of 1 x 1 px"
        "; expected at least 8 px a side; give the image itself, not an icon or a placeholder"
    ),
    ("JPEG", "all black"): (
        "film.jpg: found every pixel equal (a blank image)"
        "; expected an image with contrast; check that the export or the exposure worked"
    ),
    ("TIFF", "truncated"): (
        "film.tif: found a truncated TIFF; expected a complete image; copy or export the file again"
    ),
    ("TIFF", "zero bytes"): (
        "film.tif: found an empty file (0 bytes); expected an image file; copy or export the file again"
    ),
    ("TIFF", "text inside"): (
        "film.tif: found text; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG"
    ),
    ("TIFF", "missing"): "film.tif: found no such file; expected an image file; check the path",
    ("TIFF", "1 x 1"): (
        "film.tif: found an image of 1 x 1 px"
        "; expected at least 8 px a side; give the image itself, not an icon or a placeholder"
    ),
    ("TIFF", "all black"): (
        "film.tif: found every pixel equal (a blank image)"
        "; expected an image with contrast; check that the export or the exposure worked"
    ),
    ("PNG", "claims 60,000 x 60,000"): (
        "film.png: found an image that claims 60000 x 60000 px"
        "; expected at most 100000000 pixels; crop or reduce it, or raise `max_pixels`"
    ),
    ("TIFF", "NaN"): (
        "film.tif: found 256 NaN or infinite pixels; expected finite pixel values; replace or mask them before saving"
    ),
    ("TIFF", "several pages"): (
        "film.tif: found 3 frames; expected one image"
        "; choose one with `frame` (0 to 2), or save it as a file of its own"
    ),
    ("folder", "given as a film"): (
        "films: found a folder; expected an image file; give the image files in it one by one"
    ),
    ("PDF", "given as a film"): (
        "report.pdf: found a PDF document"
        "; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG"
    ),
    ("ZIP", "given as a film"): (
        "films.zip: found a ZIP archive; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG"
    ),
    ("binary", "given as a film"): (
        "film.raw: found bytes of no known kind of image"
        "; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG"
    ),
    ("array", "integers of 64 bits"): (
        "array: found dtype int64; expected uint8, uint16 or float in [0, 1]; convert the array"
    ),
    ("array", "four axes"): (
        "array: found shape (1, 1, 64, 64); expected (height, width) or (height, width, 3); reorder or split the array"
    ),
    ("array", "values over 1"): (
        "array: found float values from 0 to 2.55; expected values within [0, 1]; scale the array first"
    ),
    ("array", "NaN"): (
        "array: found 90 NaN or infinite pixels; expected finite pixel values; replace or mask them before saving"
    ),
    ("mask", "colors"): (
        "mask.png: found colors; expected a gray mask, 0 outside the organ; save the mask as a gray PNG"
    ),
    ("DICOM", "no pixels"): (
        "film.dcm: found a DICOM file without pixel data; expected a DICOM image; choose the image of this study"
    ),
    ("DICOM", "truncated"): (
        "film.dcm: found damaged or truncated pixel data; expected complete pixel data; copy or export the file again"
    ),
    ("DICOM", "zero bytes"): (
        "film.dcm: found an empty file (0 bytes); expected an image file; copy or export the file again"
    ),
    ("DICOM", "missing"): "film.dcm: found no such file; expected an image file; check the path",
    ("DICOM", "all black"): (
        "film.dcm: found every pixel equal (a blank image)"
        "; expected an image with contrast; check that the export or the exposure worked"
    ),
    ("DICOM", "several frames"): (
        "film.dcm: found 2 frames; expected one image"
        "; choose one with `frame` (0 to 1), or save it as a file of its own"
    ),
    ("DICOM", "1 x 1"): (
        "film.dcm: found an image of 1 x 1 px"
        "; expected at least 8 px a side; give the image itself, not an icon or a placeholder"
    ),
    ("DICOM", "claims 60,000 x 60,000"): (
        "film.dcm: found an image that claims 60000 x 60000 px"
        "; expected at most 100000000 pixels; crop or reduce it, or raise `max_pixels`"
    ),
    ("DICOM", "unknown photometric"): (
        "film.dcm: found photometric interpretation 'HSV' with 2 axes of pixels"
        "; expected MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or YBR; export the file again"
    ),
    ("DICOM", "window of width 0"): (
        "film.dcm: found a window of width 0; expected a wider window; export the file again"
    ),
    ("DICOM", "more bits stored than allocated"): (
        "film.dcm: found 17 bits stored in 16; expected BitsStored within BitsAllocated; export the file again"
    ),
    ("DICOM", "nothing but padding"): (
        "film.dcm: found nothing but padding pixels; expected an image with contrast; export the file again"
    ),
    ("DICOM", "a list of files"): (
        "DICOMDIR: found a DICOMDIR (a list of files); expected one DICOM image; give the images that it lists"
    ),
    ("DICOM", "compressed without its plug-in"): (
        "film.dcm: found pixels compressed as JPEG-LS Lossless Image Compression and no plug-in that decodes them"
        "; expected an installed decoder"
        "; pip install 'imagecodecs>=2024.6.1', or save it uncompressed"
    ),
    ("CSV", "no text column"): (
        "table.csv: found columns image, findings; expected a column 'text'; name it with `text_column`"
    ),
    ("CSV", "no image column"): (
        "table.csv: found columns path, text; expected a column 'image'; name it with `image_column`"
    ),
    ("CSV", "a field too many"): "table.csv, line 2: found 3 fields; expected 2 as in the header; mend the line",
    ("CSV", "an open quote"): (
        "table.csv, line 2: found broken CSV (unexpected end of data); expected quoted fields that end; mend the line"
    ),
    ("CSV", "zero bytes"): (
        "table.csv: found an empty file"
        "; expected a .csv, .jsonl or .parquet file, or a folder of datasets or Parquet; write the table again"
    ),
    ("CSV", "only a header"): "table.csv: found no rows; expected a column 'image'; name it with `image_column`",
    ("CSV", "another encoding"): "table.csv: found text that is not UTF-8; expected UTF-8; save the table as UTF-8",
    ("CSV", "empty text"): (
        "table.csv, row 1: found no text in 'text'"
        "; expected a report; fill it in or drop the row (bad rows in all: 1; skip_bad_rows leaves them out)"
    ),
    ("CSV", "a film that is not there"): (
        "table.csv, row 1: found no file gone.png"
        "; expected an existing image; correct 'image' (bad rows in all: 1; skip_bad_rows leaves them out)"
    ),
    ("CSV", "a path out of its folder"): (
        "table.csv, row 1: found a path that leaves the table's folder"
        "; expected a file inside films/; correct 'image' (bad rows in all: 1; skip_bad_rows leaves them out)"
    ),
    ("CSV", "missing"): (
        "FOLDER/table.csv: found no such file"
        "; expected a .csv, .jsonl or .parquet file, or a folder of datasets or Parquet; check the path"
    ),
    ("JSONL", "broken at line 2"): (
        "table.jsonl, line 2: found broken JSON (Expecting value); expected one object a line; mend the line"
    ),
    ("JSONL", "a list at line 2"): "table.jsonl, line 2: found a list; expected one object a line; mend the line",
    ("JSONL", "no text column"): (
        "table.jsonl: found columns image; expected a column 'text'; name it with `text_column`"
    ),
    ("JSONL", "text that is a number"): (
        "table.jsonl, row 1: found int 3 in 'text'"
        "; expected a report; fill it in or drop the row (bad rows in all: 1; skip_bad_rows leaves them out)"
    ),
    ("JSONL", "zero bytes"): (
        "table.jsonl: found an empty file"
        "; expected a .csv, .jsonl or .parquet file, or a folder of datasets or Parquet; write the table again"
    ),
    ("Parquet", "truncated"): (
        "table.parquet: found a damaged Parquet file; expected a complete one; copy or write it again"
    ),
    ("Parquet", "no text column"): (
        "table.parquet: found columns image; expected a column 'text'; name it with `text_column`"
    ),
    ("Parquet", "empty text at row 2"): (
        "table.parquet, row 2: found no text in 'text'"
        "; expected a report; fill it in or drop the row (bad rows in all: 1; skip_bad_rows leaves them out)"
    ),
    ("Parquet", "text inside"): (
        "table.parquet: found a damaged Parquet file; expected a complete one; copy or write it again"
    ),
    ("table", "of another kind"): (
        "table.xlsx: found a '.xlsx' file"
        "; expected a .csv, .jsonl or .parquet file, or a folder of datasets or Parquet; convert it"
    ),
    ("folder", "without tables"): (
        "films: found a folder without tables"
        "; expected a .csv, .jsonl or .parquet file, or a folder of datasets or Parquet; name the table itself"
    ),
    ("model folder", "misspelt configuration field"): (
        "FOLDER/model/config.json: found unknown field 'mask_mod'"
        "; expected one of its fields; did you mean 'mask_mode'?"
    ),
    ("model folder", "unknown mask mode"): (
        "FOLDER/model/config.json: found mask_mode='hard'"
        "; expected one of none, soft, strict; correct the configuration"
    ),
    ("model folder", "broken config.json"): (
        "FOLDER/model/config.json: found broken JSON (line 51); expected a JSON object; copy the file again"
    ),
    ("model folder", "a list as config.json"): (
        "FOLDER/model/config.json: found list; expected a JSON object; copy the file again"
    ),
    ("model folder", "no generation_config.json"): (
        "FOLDER/model/generation_config.json: found no such file; expected the length and the end of a report"
        "; copy the file again, or save the model with max_new_tokens in its generation_config"
    ),
    ("model folder", "no length of a report"): (
        "FOLDER/model/generation_config.json: found no max_new_tokens; expected the most tokens of a report"
        "; set it, to 128 for instance"
    ),
    ("model folder", "an end outside the vocabulary"): (
        "FOLDER/model/generation_config.json: found eos_token_id 10000; expected a whole number from 0 to 256"
        "; correct it"
    ),
    ("model folder", "another system's checkpoint"): (
        "FOLDER/model: found a segmenter (anatomy_segmenter); expected a report model; give a model that writes reports"
    ),
    ("model folder", "a language model"): (
        "FOLDER/model: found a causal-lm (report_transformer)"
        "; expected a report model; give a model that writes reports"
    ),
    ("model folder", "an encoder"): (
        "FOLDER/model: found an encoder (medvill); expected a report model; give a model that writes reports"
    ),
    ("model folder", "a label mode that there is not"): (
        "FOLDER/model/config.json: found label_mode='told'"
        "; expected one of none, oracle, predicted; correct the configuration"
    ),
    ("model folder", "fewer label pieces than names"): (
        "FOLDER/model/config.json: found 1 label_pieces for 13 label_names"
        "; expected one a name, as RadScribeProcessor.label_pieces makes them; correct the configuration"
    ),
    ("model folder", "weights of another image encoder"): (
        "FOLDER/model: found no weights for encoder.image_encoder.patches.bias and 3 more"
        "; expected all weights; copy the folder again"
    ),
    ("model folder", "a system of somebody else"): (
        "FOLDER/model: found model_type 'bert', which this library does not have"
        "; expected anatomical_report, cxr_multitask, histgen, radscribe; read its code, then pass `trust_remote_code`"
    ),
    ("model folder", "truncated weights"): (
        "FOLDER/model: found broken or truncated safetensors; expected whole files; copy the folder again"
    ),
    ("model folder", "weights of another size"): (
        "FOLDER/model: found weights of other shapes than the configuration's"
        "; expected matching files; copy the folder again"
    ),
    ("model folder", "some weights missing"): (
        "FOLDER/model: found no weights for projection.bias and 1 more; expected all weights; copy the folder again"
    ),
    ("model folder", "pickled weights"): (
        "model: found pickled weights (pytorch_model.bin)"
        "; expected model.safetensors; convert them: hf-medreport convert"
    ),
    ("model folder", "no weights"): "model: found no weights; expected model.safetensors; copy the folder again",
    ("model folder", "no tokenizer"): (
        "model: found no tokenizer; expected tokenizer.json and tokenizer_config.json; copy the folder again"
    ),
    ("model folder", "no config.json"): (
        "FOLDER: found no config.json; expected a model folder; give the folder that holds config.json"
    ),
    ("model name", "misspelt"): (
        "anatomical-tyni: found no such model; expected a folder, ORG/NAME or one of anatomical-tiny, "
        "cxr-multitask-tiny, histgen-tiny, radscribe-tiny; did you mean 'anatomical-tiny'?"
    ),
    ("model name", "a path that is not there"): (
        "./models/chest: found no such model; expected a folder, ORG/NAME or one of anatomical-tiny, "
        "cxr-multitask-tiny, histgen-tiny, radscribe-tiny; check the path"
    ),
    ("repository", "does not exist, offline"): (
        "org/no-such-model: found no copy in the cache, offline"
        "; expected a repository with config.json; check the name, or give a folder"
    ),
}


def test_every_pair_has_a_message_and_there_are_enough():
    assert set(MESSAGES) == set(MAKERS) and len(MESSAGES) >= 50


@pytest.mark.parametrize(("kind", "failure"), MESSAGES, ids=lambda part: part.replace(" ", "-"))
def test_bad_input(kind, failure, tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    make, read = MAKERS[kind, failure]
    given = make(folder)
    before = sorted(path for path in folder.rglob("*") if path.name != "__pycache__")
    with pytest.raises(InputError) as error:
        read(given)
    assert str(error.value).replace(str(folder), "FOLDER") == MESSAGES[kind, failure]
    after = sorted(path for path in folder.rglob("*") if path.name != "__pycache__")
    assert after == before, "reading bad input wrote something"
