"""How much the browser has to fetch, and the house rules of templates."""

import gzip
import re
from pathlib import Path

import pytest

from tests.look.harness import ROOT, create_harness

STATIC, TEMPLATES = ROOT / "static", ROOT / "templates"
CSS_LIMIT, SCRIPT_LIMIT, FIRST_VISIT_LIMIT = 12_500, 4_096, 80_000


def packed(path: Path) -> int:
    """Bytes of a file when compressed; fonts are so already."""
    return path.stat().st_size if path.suffix == ".woff2" else len(gzip.compress(path.read_bytes(), 9))


def linked_sheets() -> list[Path]:
    """The style sheets that a page of the application asks for."""
    page = create_harness().test_client().get("/samples/overview").get_data(as_text=True)
    return [ROOT / found for found in re.findall(r'rel="stylesheet" href="/(static/[^"]+)"', page)]


def test_styles_stay_small() -> None:
    sheets = linked_sheets()
    assert len(sheets) > 5
    together = gzip.compress(b"".join(sheet.read_bytes() for sheet in sheets), 9)
    assert len(together) <= 9_000
    assert sum(packed(sheet) for sheet in sheets) <= CSS_LIMIT


def test_script_stays_small() -> None:
    assert packed(STATIC / "js/app.js") <= SCRIPT_LIMIT


def test_first_visit_stays_under_80_kilobytes() -> None:
    page = create_harness().test_client().get("/samples/overview").get_data()
    fetched = [
        *linked_sheets(),
        STATIC / "js/app.js",
        STATIC / "icons/sprite.svg",
        STATIC / "img/logo.svg",
        STATIC / "img/favicon.svg",
        STATIC / "vendor/htmx/htmx.min.js",
        STATIC / "vendor/inter/inter-latin.woff2",
    ]
    assert sum(map(packed, fetched)) + len(gzip.compress(page, 9)) < FIRST_VISIT_LIMIT


def test_page_itself_is_about_6_kilobytes() -> None:
    page = create_harness().test_client().get("/samples/overview").get_data()
    assert len(gzip.compress(page, 9)) < 7_000


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_template_has_nothing_that_the_policy_blocks(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"\sstyle=|\son[a-z]+=[\"']|<script(?![^>]*\ssrc=)|javascript:", text)
    assert not re.search(r"<style", text) or template.parent.name == "emails"


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_template_begins_by_saying_what_it_is(template: Path) -> None:
    assert template.read_text().startswith("{# ")


def test_every_vendored_folder_has_its_licence() -> None:
    assert {folder.name for folder in (STATIC / "vendor").iterdir() if folder.is_dir()} == {
        "htmx",
        "inter",
        "tabler",
    }
    assert all((folder / "LICENSE").is_file() for folder in (STATIC / "vendor").iterdir() if folder.is_dir())
