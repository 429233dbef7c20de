"""Documents as PDF: any script, the same bytes for the same content."""

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest
from pypdf import PdfReader

from services.documents import Document, Party, pdf_of

RECEIPT = Document(
    title="Receipt", language="en", made_at=datetime(2026, 3, 1, tzinfo=UTC),
    facts=(("Number", "R-000001"), ("Paid on", "Mar 1, 2026")),
    parties=(Party("From", ("Coffer GmbH", "Bahnhofstrasse 1")), Party("To", ("Acme",))),
    head=("What for", "Amount"), rows=(("1,000 credits", "$35.00"),), totals=(("Total", "$35.00"),),
)  # fmt: skip


def text_of(document: Document) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf_of(document))).pages)


class TestPdf:
    def test_it_says_what_it_was_given(self) -> None:
        text = text_of(RECEIPT)
        for words in ("Receipt", "R-000001", "Bahnhofstrasse 1", "Acme", "1,000 credits", "$35.00"):
            assert words in text

    def test_the_same_content_is_the_same_bytes(self) -> None:
        assert pdf_of(RECEIPT) == pdf_of(RECEIPT)
        assert pdf_of(RECEIPT) != pdf_of(replace(RECEIPT, title="Statement"))

    @pytest.mark.parametrize(
        "name",
        ["Ελλάς Київ Łódź", "日本語 中文 한국어", "שלום", "مرحبا", "नमस्ते", "ไทย", "বাংলা", "தமிழ்", "ქართული",
         "Հայերեն", "ខ្មែរ", "ລາວ", "မြန်မာ", "සිංහල", "አማርኛ"],
    )  # fmt: skip
    def test_any_script_renders(self, name: str) -> None:
        document = replace(RECEIPT, parties=(RECEIPT.parties[0], Party("To", (name,))))
        assert len(pdf_of(document)) < 200_000
        # A character that no font has leaves nothing to read; marks may be drawn with their letter.
        letters = {letter for letter in name if unicodedata.category(letter).startswith("L")}
        assert letters - set(unicodedata.normalize("NFC", text_of(document))) == set()

    def test_what_no_font_has_does_not_stop_it(self) -> None:
        assert pdf_of(replace(RECEIPT, note="\U0001f9ff \u0000 \ue000")).startswith(b"%PDF")

    def test_long_content_goes_on_over_pages(self) -> None:
        rows = tuple((f"Line {number} " + "words " * 30, "$1.00") for number in range(60))
        assert len(PdfReader(BytesIO(pdf_of(replace(RECEIPT, rows=rows)))).pages) > 1
