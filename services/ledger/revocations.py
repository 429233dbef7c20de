"""Taking credits of a lot back: what a refunded payment bought, and what returns to such a lot later."""

from sqlalchemy import bindparam, update

from models.ledger import Grant
from services.ledger.book import Book, Line
from services.statements import Statement

_grants = Grant.__table__.c
REVOKE_FROM_LOT = Statement(
    update(Grant.__table__)
    .where(_grants.id == bindparam("grant_id"))
    .values(
        remaining=_grants.remaining - bindparam("part"),
        revoked=_grants.revoked + bindparam("part"),
        unrecovered=_grants.unrecovered + bindparam("shortfall"),
    )
)


def write_revocation(
    book: Book, grant_id: int, part: int, shortfall: int, is_subscription: bool, actor: str
) -> None:
    """One revocation line for one lot of an open book.

    Units: ``part`` is taken back now (negative: given back); ``shortfall`` changes what the lot still owes
    (negative: settled, or owed no more).
    """
    if not part and not shortfall:
        return
    words = "Taken back: the payment was refunded" if part > 0 else "Given back: the payment stands again"
    REVOKE_FROM_LOT.run(grant_id=grant_id, part=part, shortfall=shortfall).close()
    if part:
        book.write(
            Line("revocation", -part, actor, [(grant_id, -part, is_subscription)], grant_id=grant_id,
                 description=words)
        )  # fmt: skip
