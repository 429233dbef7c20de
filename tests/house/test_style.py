"""Sizes, docstrings, what may not stand in a file or a template."""

import ast
import re

from tests.house.source import files, in_layer, name_of, product

LONGEST_FUNCTION = 70
LONGEST_FILE = 400
# A test file mirrors a source file and says each case in full.
LONGEST_TEST_FILE = 600
# Written by Alembic: a list of tables, not read as a program.
GENERATED = "migrations/versions/"
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b|coming " r"soon", re.IGNORECASE)
MACHINE_PATHS = re.compile(r"(?<![\w./-])/wo" r"rk/")
UNSAFE_IN_TEMPLATES = {
    "style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "event handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "inline script": re.compile(
        r"<script(?![^>]*\ssrc=)(?![^>]*type=\"(?:application/json|importmap)\")", re.IGNORECASE
    ),
    "inline style sheet": re.compile(r"<style\b", re.IGNORECASE),
    "javascript address": re.compile(r"javascript:", re.IGNORECASE),
}


def test_functions_are_short():
    found = [
        f"{path}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path, tree in product().items()
        if not path.startswith(GENERATED)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert not found, "\n".join(found)


def test_files_are_short():
    found = []
    for path in files(".py"):
        name, lines = name_of(path), len(path.read_text().splitlines())
        most = LONGEST_TEST_FILE if name.startswith("tests/") else LONGEST_FILE
        if lines > most and not name.startswith(GENERATED):
            found.append(f"{name} has {lines} lines")
    assert not found, "\n".join(found)


def test_public_functions_of_services_say_what_they_do():
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in in_layer("services").items()
        for node in public_functions(tree)
        if not ast.get_docstring(node)
    ]
    assert not found, "\n".join(found)


def public_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    """Functions of a module and methods of its public classes, without a leading underscore."""
    owners = [tree, *(n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_"))]
    return [
        node
        for owner in owners
        for node in owner.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]


def test_modules_say_what_they_are_for():
    found = [path for path, tree in product().items() if tree.body and not ast.get_docstring(tree)]
    assert not found, "\n".join(found)


def test_nothing_is_left_unfinished():
    assert not lines_with(UNFINISHED, ".py", ".html", ".js", ".css", ".toml", ".md")


def test_no_path_of_a_machine():
    assert not lines_with(MACHINE_PATHS, ".py", ".html", ".js", ".css", ".toml", ".md", ".txt", "")


def lines_with(pattern: re.Pattern[str], *suffixes: str) -> list[str]:
    """Every line of the repository that matches."""
    found = []
    for path in files(*suffixes):
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{name_of(path)}:{number} {line.strip()[:80]}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return found


def test_templates_hold_to_the_content_security_policy():
    found = []
    for path in files(".html"):
        if not name_of(path).startswith(("templates/", "sandbox/")) or "/emails/" in name_of(path):
            continue
        text = re.sub(r"{#.*?#}", "", path.read_text(), flags=re.DOTALL)
        found += [
            f"{name_of(path)}: {what}" for what, rule in UNSAFE_IN_TEMPLATES.items() if rule.search(text)
        ]
    assert not found, "\n".join(found)


def test_the_template_rules_see_what_breaks_them():
    for unsafe in (
        '<p class="a" style="color: red">', "<button onclick='x()'>", "<script>x()</script>", "<style>",
        '<a href="javascript:x()">',
    ):  # fmt: skip
        assert any(rule.search(unsafe) for rule in UNSAFE_IN_TEMPLATES.values()), unsafe
    safe = '<script type="module" src="/static/js/a.js"></script><p data-style="x" class="on-time">'
    assert not [what for what, rule in UNSAFE_IN_TEMPLATES.items() if rule.search(safe)]
