"""The source files of the house, parsed."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("blueprints", "commands", "gateways", "jobs", "migrations", "models", "sandbox", "services")
SKIPPED = {".venv", ".git", "instance", "__pycache__", "node_modules", "vendor", ".ruff_cache",
           ".pytest_cache", ".hypothesis", "artifacts", "results"}  # fmt: skip


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """Every file of the repository with one of the suffixes."""
    return tuple(sorted(path for path in _walk(ROOT) if path.suffix in suffixes))


def _walk(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name not in SKIPPED:
                yield from _walk(entry)
        elif entry.name not in SKIPPED:
            yield entry


def name_of(path: Path) -> str:
    """The path within the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def product() -> dict[str, ast.Module]:
    """Every Python file that ships and runs, by its path: not the tests, not the benchmarks."""
    return {
        name_of(path): ast.parse(path.read_text())
        for path in files(".py")
        if path.parent == ROOT or name_of(path).split("/")[0] in PACKAGES
    }


def imports(tree: ast.Module) -> set[str]:
    """Every module that a file imports, anywhere in it, by its full name."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def imports_any(tree: ast.Module, *modules: str) -> set[str]:
    """Which imports of a file are one of the modules or inside one."""
    return {
        name for name in imports(tree) if any(name == m or name.startswith(f"{m}.") for m in modules)
    }  # fmt: skip


def in_layer(*layers: str) -> dict[str, ast.Module]:
    """The product's files in these folders."""
    return {path: tree for path, tree in product().items() if path.startswith(tuple(f"{x}/" for x in layers))}


def dotted(node: ast.AST) -> str:
    """The text of a dotted name such as ``db.session.commit``; empty where it is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every call of a dotted name, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name:
                yield name, node.lineno
