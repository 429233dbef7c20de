"""What the deployment files say must fit the program: settings by their names, commands that exist."""

import re
import tomllib
from pathlib import Path

import pytest

from config import Settings

ROOT = Path(__file__).resolve().parents[2]
# Of Python, of PostgreSQL's image, and of the compose file itself.
OTHERS = {
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "POSTGRES_USER",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD",
    "SERVERS",
}


def names_in(text: str) -> set[str]:
    """Everything that looks like a variable of the environment and is given a value."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return set(re.findall(r"\b([A-Z][A-Z_]{3,})\b(?=[=:])", "\n".join(lines)))


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "deploy/coffer.service"])
def test_every_variable_is_a_setting(name: str) -> None:
    known = {field.upper() for field in Settings.model_fields} | OTHERS
    assert names_in((ROOT / name).read_text()) <= known


def test_the_image_runs_a_python_that_coffer_supports() -> None:
    image = re.search(r"^FROM python:(\d+)\.(\d+)", (ROOT / "Dockerfile").read_text(), re.M)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert image and wanted == ">=3.11" and (int(image[1]), int(image[2])) >= (3, 11)


def test_what_is_run_is_there() -> None:
    for name in ("Dockerfile", "deploy/coffer.service"):
        assert "server.py" in (ROOT / name).read_text()
    assert (ROOT / "server.py").is_file()


def test_the_image_holds_no_secret_of_the_checkout() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", ".git", "instance/*"} <= set(ignored)
