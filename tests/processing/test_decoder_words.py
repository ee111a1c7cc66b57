"""Lines that a decoder writes to stderr's descriptor become part of the message of the file, and of no screen."""

import io
import os
import threading
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from hf_medreport.processing.decoder_words import decoder_words
from hf_medreport.processing.image_reading import read_image, read_with_notes
from hf_medreport.processing.input_error import InputError


def tiff(compression: str, mode: str = "L") -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 200), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(file, "TIFF", compression=compression)
    return file.getvalue()


def turned(content: bytes) -> bytes:
    return content[:2000] + bytes(byte ^ 0x55 for byte in content[2000:2600]) + content[2600:]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "film.tif"


def test_a_damaged_file_is_one_message(path, capfd):
    path.write_bytes(turned(tiff("tiff_deflate")))
    with pytest.raises(InputError) as raised:
        read_image(path)
    assert str(raised.value).startswith("film.tif: found a damaged or unsupported TIFF (ZIPDecode: Decoding error at")
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_read_all_the_same_has_a_note(path, capfd):
    path.write_bytes(turned(tiff("group4", "1")))
    _, notes = read_with_notes(path)
    assert [note.partition(" at line")[0] for note in notes] == [
        "damaged in part, as its decoder says: Fax4Decode: Uncompressed data (not supported)"
    ]
    assert capfd.readouterr() == ("", "")


def test_a_sound_file_has_none(path):
    path.write_bytes(tiff("tiff_lzw"))
    assert read_with_notes(path)[1] == ()


def test_what_is_no_decoders_comes_to_the_screen_after_it_also_after_an_error(capfd):
    with pytest.raises(KeyError), decoder_words() as words:
        os.write(
            2, b"LZWDecode: Not enough data at scanline 3 (short 4 bytes).\n\n12 %|###  |\rWARNING: a log's line.\n"
        )
        os.write(2, b"tempfile.tif: Seek error.\n")
        assert capfd.readouterr().err == ""
        raise KeyError
    os.write(2, b"four")
    assert words == ["LZWDecode: Not enough data at scanline 3 (short 4 bytes)", "Seek error"]
    assert capfd.readouterr().err == "\n12 %|###  |\rWARNING: a log's line.\nfour"


def test_any_amount_is_not_waited_for():
    with decoder_words() as words:
        assert not os.get_blocking(2)
        with suppress(BlockingIOError):
            for _ in range(100):
                os.write(2, b"Decode: line.\n" * 1000)
    assert words == ["Decode: line"] * 5


def test_threads_hear_their_own():
    heard = {}

    def hear(number: int) -> None:
        with decoder_words() as words:
            for _ in range(3):
                os.write(2, f"Decode: {number}.\n".encode())
        heard[number] = words

    threads = [threading.Thread(target=hear, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {number: [f"Decode: {number}"] * 3 for number in range(8)}
