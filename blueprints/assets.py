"""Static files under an address that changes with their content, so that browsers keep them for good.

The hash stands in the path and covers the whole folder: what a style sheet or a module loads by a relative
address gets the same hash and the same long life.
"""

import functools
import hashlib
from pathlib import Path

from flask import Flask, Response, current_app, send_from_directory

from blueprints.access import declare, public
from blueprints.compression import FILE_TYPES, packed_file, takes_gzip

IMMUTABLE = "public, max-age=31536000, immutable"


def register(app: Flask) -> None:
    """Serve ``/assets/HASH/…`` and give templates ``asset()``."""
    if "static" in app.view_functions:
        declare(app.view_functions["static"], "public")
    app.add_url_rule("/assets/<version>/<path:filename>", "asset", serve)
    app.jinja_env.globals["asset"] = asset


def asset(filename: str) -> str:
    """The address of a static file."""
    return f"/assets/{version_of(str(current_app.static_folder))}/{filename}"


@public
def serve(version: str, filename: str) -> Response:
    """A static file; kept for good only under the hash of what is there now."""
    folder = str(current_app.static_folder)
    response = send_from_directory(folder, filename)
    current = version_of(folder)
    is_current = version == current
    if is_current and response.status_code == 200 and response.mimetype in FILE_TYPES:
        _compress(response, Path(folder, filename), current)
    response.headers["Cache-Control"] = IMMUTABLE if is_current else "no-cache"
    return response


def _compress(response: Response, path: Path, version: str) -> None:
    """Send the file compressed once and kept. The name was found safe by ``send_from_directory``."""
    response.vary.add("Accept-Encoding")
    packed = packed_file(path, version) if takes_gzip() else None
    if packed is None:
        return
    response.direct_passthrough = False
    response.set_data(packed)
    response.content_encoding = "gzip"
    response.headers.pop("ETag", None)  # it names the other form


@functools.cache
def version_of(folder: str) -> str:
    """A hash over names and contents of a folder's files, computed once per process."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
