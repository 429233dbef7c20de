"""Receipts and statements as PDF: words in any script, the same bytes for the same content.

A document embeds only the characters it shows. Source: docs/architecture.md, documents.
"""

import functools
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import XPos, YPos

FONTS = Path(__file__).resolve().parents[1] / "fonts"
MAIN, BOLD = "NotoSans-Regular.ttf", "NotoSans-Bold.ttf"
FAMILY = "Main"
LINE = 5.5  # millimetres
MARGIN = 20
AMOUNT_WIDTH = 40


@dataclass(frozen=True, slots=True)
class Party:
    """Who gives or gets the document: a heading and lines of text."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a page says; every text is ready to be shown. ``rows`` and ``totals``: words and an amount."""

    title: str
    language: str
    made_at: datetime
    facts: tuple[tuple[str, str], ...]
    parties: tuple[Party, Party]
    head: tuple[str, str]
    rows: tuple[tuple[str, str], ...]
    totals: tuple[tuple[str, str], ...]
    note: str = ""
    author: str = field(default="Coffer")

    def texts(self) -> str:
        """Every character that is shown."""
        parts = [self.title, self.note, *self.head]
        for pair in (*self.facts, *self.rows, *self.totals):
            parts += pair
        for party in self.parties:
            parts += [party.heading, *party.lines]
        return "".join(parts)


def pdf_of(document: Document) -> bytes:
    """Draw a document. The same content gives the same bytes."""
    pdf = FPDF(format="A4")
    pdf.set_creation_date(document.made_at)
    pdf.set_title(document.title)
    pdf.set_author(document.author)
    pdf.set_lang(document.language)
    pdf.set_margins(MARGIN, MARGIN)
    _add_fonts(pdf, document.texts())
    pdf.add_page()
    pdf.set_font(FAMILY, "B", 20)
    pdf.cell(0, 12, document.title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    _facts(pdf, document)
    _parties(pdf, document)
    _rows(pdf, document)
    if document.note:
        pdf.ln(LINE)
        pdf.set_font(FAMILY, "", 9)
        pdf.multi_cell(0, LINE, document.note, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    return bytes(pdf.output())


def _add_fonts(pdf: FPDF, text: str) -> None:
    """The main font, and those of the scripts that the text needs besides."""
    pdf.add_font(FAMILY, "", FONTS / MAIN)
    pdf.add_font(FAMILY, "B", FONTS / BOLD)
    missing = {ord(letter) for letter in text} - _covered(MAIN)
    fallbacks = []
    for path in sorted(FONTS.glob("*.ttf"), key=lambda path: (not path.name.startswith("Noto"), path.name)):
        if not missing:
            break
        if path.name in (MAIN, BOLD) or not missing & _covered(path.name):
            continue
        missing -= _covered(path.name)
        pdf.add_font(path.stem, "", path)
        fallbacks.append(path.stem)
    if fallbacks:
        pdf.set_fallback_fonts(fallbacks, exact_match=False)
        pdf.set_text_shaping(True)


@functools.cache
def _covered(name: str) -> frozenset[int]:
    """The characters that a font has."""
    with TTFont(FONTS / name, lazy=True) as font:
        return frozenset(font.getBestCmap())


def _facts(pdf: FPDF, document: Document) -> None:
    pdf.set_font(FAMILY, "", 10)
    for name, value in document.facts:
        pdf.cell(AMOUNT_WIDTH, LINE, name)
        pdf.cell(0, LINE, value, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(LINE)


def _parties(pdf: FPDF, document: Document) -> None:
    """Two columns, side by side."""
    width, top, lowest = pdf.epw / 2, pdf.get_y(), pdf.get_y()
    for number, party in enumerate(document.parties):
        left = pdf.l_margin + number * width
        pdf.set_xy(left, top)
        pdf.set_font(FAMILY, "B", 10)
        pdf.cell(width - 5, LINE, party.heading, new_x=XPos.LEFT, new_y=YPos.NEXT)
        pdf.set_font(FAMILY, "", 10)
        for line in party.lines:
            pdf.multi_cell(width - 5, LINE, line, align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)
        lowest = max(lowest, pdf.get_y())
    pdf.set_xy(pdf.l_margin, lowest + LINE)


def _rows(pdf: FPDF, document: Document) -> None:
    words = pdf.epw - AMOUNT_WIDTH
    _row(pdf, words, *document.head, style="B")
    for row in document.rows:
        _row(pdf, words, *row)
    pdf.ln(2)
    for number, row in enumerate(document.totals):
        _row(pdf, words, *row, style="B" if number == len(document.totals) - 1 else "", line=False)


def _row(
    pdf: FPDF, width: float, words: str, amount: str, *, style: str = "", line: bool = True
) -> None:
    pdf.set_font(FAMILY, style, 10)
    top = pdf.get_y()
    pdf.multi_cell(width, LINE + 1, words, align="L", new_x=XPos.RIGHT, new_y=YPos.NEXT)
    bottom = pdf.get_y()
    pdf.set_xy(pdf.l_margin + width, top)
    pdf.cell(AMOUNT_WIDTH, LINE + 1, amount, align="R")
    pdf.set_xy(pdf.l_margin, bottom)
    if line:
        pdf.set_draw_color(200)
        pdf.line(pdf.l_margin, bottom, pdf.l_margin + pdf.epw, bottom)
