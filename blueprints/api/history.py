"""The journal of an account."""

import json
from collections.abc import Callable
from typing import Any

from flask import Response

from blueprints.api import answers, schemas
from blueprints.api.amounts import decimal_number
from blueprints.api.calls import Asked, answered, call
from errors import NotFound
from services.clock import iso
from services.ledger.history import HistoryLine, HistoryPage, HistoryQuery
from services.ledger.history import history as read_history
from services.money import to_number


@call(
    "GET", "/api/credits/history", "The journal of an account, newest first", scope="read",
    query=schemas.HistoryQueryString, answers={200: answers.History}, refusals=(NotFound,),
)  # fmt: skip
def history(asked: Asked) -> Response:
    query = asked.query
    page = read_history(
        HistoryQuery(
            account_id=asked.account_id, type=query.type, credit_type=query.credit_type, since=query.since,
            until=query.until, task_id=query.task_id, limit=query.limit, cursor=query.cursor,
            offset=0 if query.cursor else query.offset,
        )
    )  # fmt: skip
    return answered(page_answer(page, query, line_answer))


def page_answer(
    page: HistoryPage, query: Any, of_line: Callable[[HistoryLine], dict[str, Any]]
) -> dict[str, Any]:
    """A page of the journal and where it stands."""
    return {
        "transactions": [of_line(line) for line in page.lines],
        "pagination": {
            "total": page.total,
            "limit": query.limit,
            "offset": query.offset,
            "has_more": page.has_more,
            "next_cursor": page.next_cursor,
        },
    }


def line_answer(line: HistoryLine) -> dict[str, Any]:
    """One line of the journal as the API writes it."""
    return {
        "id": line.id,
        "sequence": line.sequence,
        "type": line.type,
        "credit_type": line.credit_type,
        "amount": to_number(line.amount, line.scale),
        "balance_before": to_number(line.balance_before, line.scale),
        "balance_after": to_number(line.balance_after, line.scale),
        "task_id": line.task_id,
        "description": line.description,
        "quantity": decimal_number(line.quantity),
        "unit_cost": decimal_number(line.unit_cost),
        "payment_method": line.payment_method,
        "metadata": json.loads(line.details) if line.details else None,
        "created_at": iso(line.created_at),
    }
