"""A PDF of one page of text, enough for an invoice that one can download and open."""

from collections.abc import Sequence
from dataclasses import dataclass

PAGE_WIDTH, PAGE_HEIGHT = 595, 842  # A4 in points


@dataclass(frozen=True, slots=True)
class Text:
    """Text at a place in points from the left and the top; ``right``: it ends there instead."""

    x: int
    y: int
    words: str
    size: int = 10
    bold: bool = False
    right: bool = False


def document(texts: Sequence[Text], rules: Sequence[int]) -> bytes:
    """The file. ``rules``: heights, from the top, of thin lines across the page."""
    content = b"\n".join(
        [*(_text(text) for text in texts), *(f"0.8 w 56 {PAGE_HEIGHT - y} m 539 {PAGE_HEIGHT - y} l S".encode()
                                             for y in rules)]
    )  # fmt: skip
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /%s /Encoding /WinAnsiEncoding >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R /F2 6 0 R >> >> >>" % (PAGE_WIDTH, PAGE_HEIGHT),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        font % b"Helvetica",
        font % b"Helvetica-Bold",
    ]
    return _file(objects)


def _file(objects: Sequence[bytes]) -> bytes:
    """Objects with their table of places."""
    body, places = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, item)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return body + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, len(body))
    )


def _text(text: Text) -> bytes:
    words = text.words.encode("cp1252", "replace")
    escaped = words.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    # Digits and most letters are about half as wide as the type is high: close enough to align amounts.
    left = text.x - int(sum(_width(letter) for letter in text.words) * text.size) if text.right else text.x
    return b"BT /%s %d Tf %d %d Td (%s) Tj ET" % (
        b"F2" if text.bold else b"F1", text.size, left, PAGE_HEIGHT - text.y, escaped,
    )  # fmt: skip


def _width(letter: str) -> float:
    """The width of a letter in Helvetica, as a part of the size."""
    return 0.278 if letter in " .,:" else 0.556
