"""Pages and static files go out compressed where the browser takes gzip.

A page carries a form token beside words that a visitor chose, and the length of what is compressed tells
something of both. Every compressed page therefore gets a random number of bytes in gzip's header, and
cookies are never sent to us by another site's subresources (SameSite=Lax). Answers of the API stay as they
are: they are small, and their speed counts more.
"""

import functools
import gzip
import io
import secrets
from pathlib import Path

from flask import Flask, Response, request

LEAST_BYTES = 700
PAGE_LEVEL, FILE_LEVEL = 5, 9
MOST_PADDING = 100
FILE_TYPES = {"text/css", "text/javascript", "application/javascript", "image/svg+xml"}
PADDING_LETTERS = b"abcdefghijklmnop"


def register(app: Flask) -> None:
    """Compress the pages of the app."""
    app.after_request(_compress_page)


def _compress_page(response: Response) -> Response:
    if response.mimetype != "text/html" or response.is_streamed or response.direct_passthrough:
        return response
    response.vary.add("Accept-Encoding")
    body = response.get_data()
    if len(body) < LEAST_BYTES or not takes_gzip() or response.content_encoding:
        return response
    response.set_data(_packed(body, PAGE_LEVEL, _padding()))
    response.content_encoding = "gzip"
    return response


def takes_gzip() -> bool:
    """Whether the browser of this request takes gzip."""
    return request.accept_encodings["gzip"] > 0


@functools.lru_cache(maxsize=256)
def packed_file(path: Path, version: str) -> bytes | None:
    """A static file compressed, kept in memory under the folder's version; None where it would not gain."""
    content = path.read_bytes()
    if len(content) < LEAST_BYTES:
        return None
    return _packed(content, FILE_LEVEL, b"")


def _padding() -> bytes:
    return bytes(secrets.choice(PADDING_LETTERS) for _ in range(secrets.randbelow(MOST_PADDING) + 1))


def _packed(content: bytes, level: int, padding: bytes) -> bytes:
    """gzip with ``padding`` as the file name that its header may carry, and no time in it."""
    buffer = io.BytesIO()
    with gzip.GzipFile(padding.decode("ascii"), "wb", level, buffer, mtime=0) as packer:
        packer.write(content)
    return buffer.getvalue()
