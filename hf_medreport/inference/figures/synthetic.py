"""Pictures that say of themselves that a model drew them: in their metadata always, visibly where that is asked for.

The PNG has text chunks (`synthetic`, the prompt, the seed, the model) and an XMP packet with IPTC's digital source type
for what a model drew, which image archives and editors read:
http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia
"""

from typing import BinaryIO

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from hf_medreport.version import __version__

__all__ = ["MARK", "contact_sheet", "marked", "save_synthetic"]

MARK = "SYNTHETIC"
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
LEAST_MARK_PX, MARK_SHARE = 8, 20  # the letters' height: a twentieth of the picture's
THUMB_PX, COLUMNS, GAP_PX, CAPTION_PX = 192, 8, 8, 12


def save_synthetic(picture: Image.Image, file: BinaryIO, said: dict[str, object]) -> None:
    """Write a PNG whose metadata say that it is synthetic, and what else is said of it; None is left out."""
    text = PngImagePlugin.PngInfo()
    for name, value in {"synthetic": "true", "Software": f"hf-medreport {__version__}", **said}.items():
        if value is not None:
            text.add_text(name, str(value))
    text.add_itxt("XML:com.adobe.xmp", XMP)
    picture.save(file, "PNG", pnginfo=text)


def marked(picture: Image.Image) -> Image.Image:
    """A copy with the word SYNTHETIC in its lower left corner, white on black; of the same size and mode."""
    copy = picture.copy()
    draw, height = ImageDraw.Draw(copy), max(LEAST_MARK_PX, picture.height // MARK_SHARE)
    font = ImageFont.load_default(height)
    left, top, right, bottom = draw.textbbox((0, 0), MARK, font=font)
    width, height = right - left + 4, bottom - top + 4
    draw.rectangle((0, copy.height - height, width - 1, copy.height - 1), fill=0)
    draw.text((2 - left, copy.height - height + 2 - top), MARK, font=font, fill="white" if copy.mode != "L" else 255)
    return copy


def contact_sheet(pictures: list[tuple[Image.Image, str]], columns: int = COLUMNS) -> Image.Image:
    """Thumbnails in rows, each with a line below it: at most THUMB_PX a side, and small ones at a whole multiple."""
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    cell, line = THUMB_PX + GAP_PX, CAPTION_PX + 4
    size = (columns * cell + GAP_PX, rows * (cell + line) + GAP_PX)
    sheet, font = Image.new("RGB", size, "white"), ImageFont.load_default(CAPTION_PX)
    draw = ImageDraw.Draw(sheet)
    for number, (picture, caption) in enumerate(pictures):
        x, y = GAP_PX + number % columns * cell, GAP_PX + number // columns * (cell + line)
        thumb = _thumbnail(picture)
        sheet.paste(thumb, (x + (THUMB_PX - thumb.width) // 2, y + (THUMB_PX - thumb.height) // 2))
        draw.text((x, y + THUMB_PX + 2), _fitted(caption, font), font=font, fill="black")
    return sheet


def _thumbnail(picture: Image.Image) -> Image.Image:
    """The picture at most THUMB_PX a side; a smaller one enlarged by a whole number, its pixels still to be seen."""
    longest = max(picture.size)
    if longest > THUMB_PX:
        size = tuple(max(1, side * THUMB_PX // longest) for side in picture.size)
        return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    times = THUMB_PX // longest
    return picture.convert("RGB").resize([side * times for side in picture.size], Image.Resampling.NEAREST)


def _fitted(caption: str, font: ImageFont.FreeTypeFont) -> str:
    """The line, cut where the cell ends."""
    if font.getlength(caption) <= THUMB_PX:
        return caption
    while caption and font.getlength(f"{caption}...") > THUMB_PX:
        caption = caption[:-1]
    return f"{caption}..."
