"""Rules that one query each can check: lots, holds, refunds, transfers, due instants, payments.

Each query returns what breaks the rule: account, credit type, what it is, and what is wrong with it.
"""

from dataclasses import dataclass

from sqlalchemy import text

from services.ledger.proof.report import Tally
from services.ledger.proof.snapshot import Snapshot
from services.statements import Statement


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in words, how many things it is about, and the queries for what breaks it."""

    name: str
    what: str
    unit: str
    counted: str
    broken: tuple[str, ...]


_OPEN_ON_LOT = (
    "COALESCE((SELECT SUM(l.amount) FROM hold_lots l JOIN holds h ON h.id = l.hold_id "
    "WHERE l.grant_id = g.id AND h.status = 'open'), 0)"
)
_FIRST_PART = (
    "COALESCE((SELECT a.amount FROM allocations a WHERE a.grant_id = g.id "
    "ORDER BY a.transaction_id, a.position LIMIT 1), 0)"
)
_PARTS = "COALESCE((SELECT SUM(a.amount) FROM allocations a WHERE a.grant_id = g.id), 0)"
_REVOKED = (
    "COALESCE((SELECT -SUM(a.amount) FROM allocations a JOIN transactions t ON t.id = a.transaction_id "
    "WHERE a.grant_id = g.id AND t.type = 'revocation'), 0)"
)
_LOT = "g.account_id, g.credit_type_id, 'lot ' || g.id"
_HOLD = "h.account_id, h.credit_type_id, 'hold ' || h.id"
_LINE = "t.account_id, t.credit_type_id, 'line ' || t.sequence || ' (transaction ' || t.id || ')'"

LOTS = Rule(
    "lots", "each lot was made by one line of its amount and holds what its parts leave", "lots",
    "SELECT count(*) FROM grants",
    (
        f"SELECT {_LOT}, 'is of ' || g.amount || '; the line that made it put in ' || {_FIRST_PART} "
        f"FROM grants g WHERE g.amount <> {_FIRST_PART}",
        f"SELECT {_LOT}, 'has ' || g.remaining || ' left; its parts add up to ' || {_PARTS} "
        f"FROM grants g WHERE g.remaining <> {_PARTS}",
        f"SELECT {_LOT}, 'has ' || g.remaining || ' of ' || g.amount || ' left and ' || g.held || ' held' "
        "FROM grants g WHERE g.remaining < 0 OR g.remaining > g.amount OR g.held < 0 OR g.held > g.remaining",
        f"SELECT {_LOT}, 'is of source ' || g.source || ' but its subscription mark says otherwise' "
        "FROM grants g LEFT JOIN grants o ON o.id = g.origin_grant_id "
        "WHERE g.is_subscription <> "
        "(g.source = 'subscription' OR (g.source = 'refund' AND COALESCE(o.is_subscription, 1 = 0)))",
    ),
)  # fmt: skip
REVOCATIONS = Rule(
    "revocations", "what was taken back from each lot is what its revocation lines say", "lots",
    "SELECT count(*) FROM grants WHERE revoked > 0 OR unrecovered > 0",
    (
        f"SELECT {_LOT}, 'says ' || g.revoked || ' were taken back; its lines say ' || {_REVOKED} "
        f"FROM grants g WHERE g.revoked <> 0 AND g.revoked <> {_REVOKED}",
        f"SELECT {_LOT}, 'says nothing was taken back, but line ' || MAX(t.sequence) || ' did' "
        "FROM transactions t JOIN allocations a ON a.transaction_id = t.id "
        "JOIN grants g ON g.id = a.grant_id WHERE t.type = 'revocation' AND g.revoked = 0 "
        "GROUP BY g.account_id, g.credit_type_id, g.id HAVING SUM(a.amount) <> 0",
        f"SELECT {_LOT}, 'owes and gave back more than its ' || g.amount "
        "FROM grants g WHERE g.revoked + g.unrecovered > g.amount",
    ),
)  # fmt: skip
HOLDS = Rule(
    "holds", "what is held is what the lots of open holds say; a capture is one usage line", "holds",
    "SELECT count(*) FROM holds",
    (
        f"SELECT {_LOT}, 'has ' || g.held || ' held; open holds reserve ' || {_OPEN_ON_LOT} "
        f"FROM grants g WHERE g.held <> {_OPEN_ON_LOT}",
        f"SELECT {_HOLD}, 'is of ' || h.amount || '; its lots add up to something else' FROM holds h "
        "WHERE h.amount <> COALESCE((SELECT SUM(l.amount) FROM hold_lots l WHERE l.hold_id = h.id), 0)",
        f"SELECT {_HOLD}, 'reserves lot ' || g.id || ', which is not of its page' "
        "FROM holds h JOIN hold_lots l ON l.hold_id = h.id JOIN grants g ON g.id = l.grant_id "
        "WHERE g.account_id <> h.account_id OR g.credit_type_id <> h.credit_type_id",
        f"SELECT {_HOLD}, 'captured ' || h.captured || ' without a usage line of that amount' "
        "FROM holds h LEFT JOIN transactions t ON t.id = h.transaction_id AND t.type = 'usage' "
        "AND t.amount = -h.captured AND t.account_id = h.account_id AND t.credit_type_id = h.credit_type_id "
        "WHERE h.status = 'captured' AND (t.id IS NULL OR h.captured = 0)",
        f"SELECT {_HOLD}, 'is ' || h.status || ' but says that ' || h.captured || ' were captured' "
        "FROM holds h WHERE h.status <> 'captured' AND h.captured <> 0",
        f"SELECT {_HOLD}, 'is ' || h.status || '; when it was closed says otherwise' "
        "FROM holds h WHERE (h.status = 'open') <> (h.closed_at IS NULL)",
        f"SELECT {_HOLD}, 'was captured by line ' || MIN(t.sequence) || ', as another hold was' "
        "FROM holds h JOIN transactions t ON t.id = h.transaction_id JOIN holds o "
        "ON o.transaction_id = h.transaction_id AND o.account_id = h.account_id AND o.id < h.id "
        "GROUP BY h.account_id, h.credit_type_id, h.id",
    ),
)  # fmt: skip
REFUNDS = Rule(
    "refunds", "each refund undoes a usage line of its page, never more than was spent", "refunds",
    "SELECT count(*) FROM transactions WHERE type = 'refund'",
    (
        f"SELECT {_LINE}, 'refunds no usage line of its page' "
        "FROM transactions t LEFT JOIN transactions u ON u.id = t.related_id AND u.type = 'usage' "
        "AND u.account_id = t.account_id AND u.credit_type_id = t.credit_type_id "
        "WHERE t.type = 'refund' AND u.id IS NULL",
        f"SELECT {_LINE}, 'spent ' || -t.amount || '; refunded were ' || SUM(r.amount) "
        "FROM transactions r JOIN transactions t ON t.id = r.related_id WHERE r.type = 'refund' "
        "GROUP BY t.account_id, t.credit_type_id, t.sequence, t.id, t.amount "
        "HAVING SUM(r.amount) > -t.amount",
    ),
)  # fmt: skip
TRANSFERS = Rule(
    "transfers", "each transfer is two lines, equal and opposite, in one credit type", "lines",
    "SELECT count(*) FROM transactions WHERE type = 'transfer'",
    (
        f"SELECT {_LINE}, 'came from no line that gave as much' "
        "FROM transactions t LEFT JOIN transactions f ON f.id = t.related_id AND f.type = 'transfer' "
        "AND f.amount = -t.amount AND f.credit_type_id = t.credit_type_id AND f.account_id <> t.account_id "
        "WHERE t.type = 'transfer' AND t.amount > 0 AND f.id IS NULL",
        f"SELECT {_LINE}, 'did not arrive exactly once' FROM transactions t "
        "WHERE t.type = 'transfer' AND t.amount < 0 AND 1 <> "
        "(SELECT count(*) FROM transactions r WHERE r.related_id = t.id AND r.type = 'transfer')",
    ),
)  # fmt: skip
DUE = Rule(
    "due instants", "no page waits longer than the first thing on it that ends", "lots and holds that end",
    "SELECT (SELECT count(*) FROM grants WHERE remaining > held AND expires_at IS NOT NULL) + "
    "(SELECT count(*) FROM holds WHERE status = 'open' AND expires_at IS NOT NULL)",
    (
        f"SELECT {_LOT}, 'ends before its page looks again' FROM grants g LEFT JOIN balances b "
        "ON b.account_id = g.account_id AND b.credit_type_id = g.credit_type_id "
        "WHERE g.remaining > g.held AND g.expires_at < COALESCE(b.next_expiry_at, 9223372036854775807)",
        f"SELECT {_HOLD}, 'ends before its page looks again' FROM holds h LEFT JOIN balances b "
        "ON b.account_id = h.account_id AND b.credit_type_id = h.credit_type_id "
        "WHERE h.status = 'open' AND h.expires_at < COALESCE(b.next_expiry_at, 9223372036854775807)",
    ),
)  # fmt: skip
PAYMENTS = Rule(
    "payments", "a paid order has one payment and one lot with its credits; no lot has another's", "orders",
    "SELECT count(*) FROM orders",
    (
        "SELECT o.account_id, o.credit_type_id, 'order ' || o.id, 'is paid but has no payment' FROM orders o "
        "WHERE o.status = 'paid' AND o.kind <> 'card' AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.order_id = o.id "
        "AND p.account_id = o.account_id)",
        "SELECT o.account_id, o.credit_type_id, 'order ' || o.id, 'is paid for ' || o.credits || "
        "' credits; its payment brought ' || COALESCE(SUM(g.amount), 0) || ' in ' || count(g.id) || ' lots' "
        "FROM orders o JOIN payments p ON p.order_id = o.id LEFT JOIN grants g ON g.payment_id = p.id "
        "AND g.account_id = o.account_id AND g.credit_type_id = o.credit_type_id AND g.source = 'purchase' "
        "WHERE o.status = 'paid' AND o.kind IN ('package', 'funds') "
        "GROUP BY o.account_id, o.credit_type_id, o.id, o.credits "
        "HAVING count(g.id) <> 1 OR SUM(g.amount) <> o.credits",
        f"SELECT {_LOT}, 'was bought by a payment of account ' || p.account_id "
        "FROM grants g JOIN payments p ON p.id = g.payment_id WHERE p.account_id <> g.account_id",
        f"SELECT {_LOT}, 'came with the payment of an order that is ' || o.status "
        "FROM grants g JOIN payments p ON p.id = g.payment_id JOIN orders o ON o.id = p.order_id "
        "WHERE o.status <> 'paid'",
    ),
)  # fmt: skip
RULES = (LOTS, REVOCATIONS, HOLDS, REFUNDS, TRANSFERS, DUE, PAYMENTS)
_STATEMENTS = {
    sql: Statement(text(sql.replace(":", "\\:"))) for rule in RULES for sql in (rule.counted, *rule.broken)
}


def check_rule(snapshot: Snapshot, rule: Rule) -> Tally:
    """Count what the rule is about and name what breaks it."""
    tally = Tally(rule.name, rule.what, rule.unit)
    counted = snapshot.first(_STATEMENTS[rule.counted])
    assert counted is not None
    tally.checked = int(counted[0])
    for sql in rule.broken:
        for account_id, credit_type_id, subject, message in snapshot.all(_STATEMENTS[sql]):
            tally.fail(message, account_id, snapshot.credit_types.get(credit_type_id), subject)
    return tally
