"""Search: clauses about fields and metadata, joined by AND. Unlike Stripe's, it knows what is new at once."""

import re

from sandbox.parameters import EXPAND, Shape, identifier, page_limit
from sandbox.problems import invalid
from sandbox.routing import Call
from sandbox.store import Object, Query

SEARCH = Shape(("query",), query=identifier, limit=page_limit, page=identifier, expand=EXPAND)
MOST_CLAUSES = 10
_VALUE = r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<number>-?\d+))"""
_CLAUSE = re.compile(
    r"""(?P<minus>-)?(?:metadata\[(?P<quote>["'])(?P<key>[^"'\\]{1,40})(?P=quote)\]|(?P<field>[a-z_]+))"""
    r"(?P<sign>>=|<=|[:=<>])" + _VALUE
)
_SIGNS = {":": "=", "=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">="}


def search(call: Call, kind: str, fields: dict[str, str]) -> Object:
    """Objects of a kind that a query fits, newest first. ``fields``: where what it may name stands."""
    text = call.given["query"]
    clauses = re.split(r"\s+(?:AND|and)\s+", text.strip())
    if len(clauses) > MOST_CLAUSES:
        raise invalid("A search query can have at most 10 clauses.", "query")
    query = Query()
    for clause in clauses:
        query = _narrowed(query, clause.strip(), fields)
    number = None
    if "page" in call.given:
        number = call.store.number_of(kind, call.given["page"])
        if number is None:
            raise invalid("This is no page of a search.", "page")
    limit = call.given.get("limit", 10)
    found = call.store.select(kind, query, limit=limit + 1, beyond=number)
    has_more = len(found) > limit
    return {
        "object": "search_result", "data": found[:limit], "has_more": has_more, "url": call.path,
        "next_page": found[limit - 1]["id"] if has_more else None,
    }  # fmt: skip


def _narrowed(query: Query, clause: str, fields: dict[str, str]) -> Query:
    """The query with one more clause. Raises StripeProblem where it is not understood."""
    matched = _CLAUSE.fullmatch(clause)
    if matched is None:
        raise invalid(f"We were unable to parse your search query at: {clause}", "query")
    key, field = matched["key"], matched["field"]
    if key is None and field not in fields:
        raise invalid(f"Field `{field}` is an unsupported search field.", "query")
    text = matched["double"] if matched["double"] is not None else matched["single"]
    value = int(matched["number"]) if text is None else text
    sign = _SIGNS[matched["sign"]]
    if sign != "=" and (key is not None or text is not None):
        raise invalid(f"The comparison in `{clause}` needs a number.", "query")
    path = f'$.metadata."{key}"' if key is not None else fields[str(field)]
    condition = f"json_extract(body, ?) {sign} ?"
    return query.also(f"NOT coalesce({condition}, 0)" if matched["minus"] else condition, path, value)
