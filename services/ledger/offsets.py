"""Where an offset into a filtered history stands: found once, and remembered as a place to start from.

The journal is append-only and ids rise within an account, so the line that so many older ones of its kind
precede is the same for ever. Whoever asks for an offset is led to it from the nearest place known: an end of
the journal, or a line found before. Source: docs/ledger.md, history.
"""

import threading
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

MOST_FILTERS = 256
MOST_PLACES = 64

Filter = tuple[int, tuple[str, ...], int | None]
# From an id on, inclusive (None: from the end), so many further; newer lines follow where told so.
Skip = Callable[[int | None, int, bool], int | None]


class Places:
    """Lines whose rank is known: how many older lines of a filter precede them. One for a database."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._found: OrderedDict[Filter, list[tuple[int, int]]] = OrderedDict()

    def id_at(self, of: Filter, rank: int, total: int, skip: Skip, *, in_one_snapshot: bool) -> int | None:
        """The id of the line of this rank among ``total``; ``skip`` reads on from a known one.

        Unless all is read ``in_one_snapshot``, a line may have come since they were counted: what was found
        from the newest end is then good for one page, and is not remembered.
        """
        known: list[tuple[int, int | None]] = [(0, None), (total - 1, None), *self._near(of, rank)]
        start, start_id = min(known, key=lambda place: abs(rank - place[0]))
        if start_id is not None and start == rank:
            return start_id
        is_newer = rank > start if start_id is not None else start == 0
        found = skip(start_id, abs(rank - start), is_newer)
        is_sure = in_one_snapshot or start_id is not None or start == 0
        if found is not None and rank != start and is_sure:
            self._keep(of, rank, found)
        return found

    def _near(self, of: Filter, rank: int) -> list[tuple[int, int]]:
        with self._guard:
            places = self._found.get(of, [])
            at = bisect_left(places, (rank, 0))
            return places[max(at - 1, 0) : at + 1]

    def _keep(self, of: Filter, rank: int, found: int) -> None:
        with self._guard:
            places = self._found.setdefault(of, [])
            self._found.move_to_end(of)
            if (rank, found) in places:
                return
            if len(places) >= MOST_PLACES:
                del places[_most_crowded(places)]
            insort(places, (rank, found))
            if len(self._found) > MOST_FILTERS:
                self._found.popitem(last=False)


def _most_crowded(places: list[tuple[int, int]]) -> int:
    """The place whose neighbours are closest: the one least missed."""
    return min(range(1, len(places) - 1), key=lambda at: places[at + 1][0] - places[at - 1][0])


_of_databases: WeakKeyDictionary[Engine, Places] = WeakKeyDictionary()


def places_of(engine: Engine) -> Places:
    """What is known of a database in this process."""
    return _of_databases.setdefault(engine, Places())
