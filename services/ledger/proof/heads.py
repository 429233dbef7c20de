"""The heads of all pages, kept outside the database and signed: what was once there must stay there.

Whoever can write the database can put an old state of it back, chain and all. The heads, noted after each
proof that passes and with each backup, show it.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from services.clock import iso, wall_now
from services.ledger import chain
from services.ledger.proof.snapshot import Snapshot, snapshot
from services.statements import Statement

FORMAT = 1
CHUNK_PAGES = 2_000
HEADS_FILE = "ledger-heads.json"
LAST_LINES = Statement(
    text(
        """
        SELECT b.account_id, b.credit_type_id, b.last_sequence, b.head_mac FROM balances b
        WHERE (b.account_id, b.credit_type_id) > (:account_id, :credit_type_id) AND b.last_sequence > 0
        ORDER BY b.account_id, b.credit_type_id LIMIT :most
        """
    )
)
MAC_OF_LINE = Statement(
    text(
        "SELECT mac FROM transactions WHERE account_id = :account_id AND credit_type_id = :credit_type_id "
        "AND sequence = :sequence"
    )
)


class HeadsDamaged(Exception):
    """The heads file cannot be read or its signature is not of this ledger's key."""


class HeadsContradicted(Exception):
    """The database no longer holds what the heads file noted; the file was left as it is."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last line of a page when the heads were noted."""

    sequence: int
    mac: str


Heads = Mapping[tuple[int, int], Head]


def read_heads(path: Path) -> dict[tuple[int, int], Head] | None:
    """The noted heads by account and credit type; None where there is no file yet. Raises HeadsDamaged."""
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HeadsDamaged(f"{path.name} cannot be read: {error}") from error
    try:
        pages = document["heads"]
        if document["format"] != FORMAT or not secrets.compare_digest(
            document["signature"], _signature(document["noted_at"], pages)
        ):
            raise HeadsDamaged(f"{path.name} is not signed with this ledger's key, or was changed")
        return {(account, kind): Head(sequence, mac) for account, kind, sequence, mac in pages}
    except (KeyError, TypeError, ValueError) as error:
        raise HeadsDamaged(f"{path.name} is not a file of heads") from error


def write_heads(path: Path, *, replace: bool = False) -> int:
    """Note every page's last line: mode 0600, replaced in one step. Returns how many pages.

    What the file noted before must still be there, else the evidence of a cut-off journal would be
    overwritten; ``replace`` is for a restore, which puts an older ledger in place on purpose.
    Raises HeadsContradicted, HeadsDamaged.
    """
    earlier = None if replace else read_heads(path)
    with snapshot() as view:
        for page, head in (earlier or {}).items():
            _require_line(view, page, head, path)
        pages = [list(row) for row in _current(view)]
    noted_at = iso(wall_now())
    document = {
        "format": FORMAT,
        "noted_at": noted_at,
        "key_id": chain.key().id,
        "heads": pages,
        "signature": _signature(noted_at, pages),
    }
    _replace_file(path, json.dumps(document, separators=(",", ":")))
    return len(pages)


def _require_line(view: Snapshot, page: tuple[int, int], head: Head, path: Path) -> None:
    row = view.first(MAC_OF_LINE, account_id=page[0], credit_type_id=page[1], sequence=head.sequence)
    if row is None or row[0] != head.mac:
        raise HeadsContradicted(
            f"account {page[0]}, credit type {page[1]}: line {head.sequence} is not the one that {path.name} "
            "noted; run the proof"
        )


def _current(view: Snapshot) -> list[tuple]:
    found: list[tuple] = []
    after = {"account_id": 0, "credit_type_id": 0}
    while rows := view.all(LAST_LINES, **after, most=CHUNK_PAGES):
        found += rows
        after = {"account_id": rows[-1][0], "credit_type_id": rows[-1][1]}
    return found


def _signature(noted_at: str, pages: list[list]) -> str:
    digest = hashlib.sha256(json.dumps(pages, separators=(",", ":")).encode()).hexdigest()
    return chain.key().sign("heads", FORMAT, noted_at, digest)


def _replace_file(path: Path, content: str) -> None:
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
