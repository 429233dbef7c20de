"""Balance rows against the journal and the lots: conservation, totals, counters, the row's own signature."""

import hmac

from sqlalchemy import text

from services.ledger import chain
from services.ledger.book import COUNTED_TYPES, LIMITS
from services.ledger.proof.journal import Page
from services.ledger.proof.report import Tally
from services.ledger.proof.snapshot import Snapshot
from services.statements import Statement

AMOUNTS = ("balance", "held", "subscription", "purchased", "granted", "used", "expired", "removed")
_COUNTERS = tuple(f"{name}_lines" for name in COUNTED_TYPES)
_COLUMNS = ", ".join((*AMOUNTS, "last_sequence", "head_mac", "mac", *_COUNTERS, *LIMITS))
_OF_PAGE = "account_id = :account_id AND credit_type_id = :credit_type_id"
ROW = Statement(text(f"SELECT {_COLUMNS} FROM balances WHERE {_OF_PAGE}"))
LOT_SUMS = Statement(
    text(
        "SELECT COALESCE(SUM(remaining), 0), COALESCE(SUM(held), 0), "
        "COALESCE(SUM(CASE WHEN is_subscription THEN remaining ELSE 0 END), 0) "
        f"FROM grants WHERE {_OF_PAGE}"
    )
)
OPEN_HOLDS = Statement(
    text(f"SELECT COALESCE(SUM(amount), 0) FROM holds WHERE {_OF_PAGE} AND status = 'open'")
)
SPENT_IN_MONTH = Statement(
    text(
        "SELECT COALESCE(-SUM(t.amount), 0) - COALESCE(SUM((SELECT SUM(r.amount) FROM transactions r "
        "WHERE r.related_id = t.id AND r.type = 'refund')), 0) FROM transactions t "
        "WHERE t.account_id = :account_id AND t.credit_type_id = :credit_type_id AND t.type = 'usage' "
        "AND t.created_at >= :starts_at AND t.created_at < :ends_at"
    )
)
ROWS_WITHOUT_LINES = Statement(
    text(
        f"""
        SELECT account_id, credit_type_id, {_COLUMNS} FROM balances b
        WHERE NOT EXISTS (
            SELECT 1 FROM transactions t
            WHERE t.account_id = b.account_id AND t.credit_type_id = b.credit_type_id
        )
        """
    )
)


class BalanceCheck:
    """Checks each page's balance row when the journal walk hands the page over."""

    def __init__(self, snapshot: Snapshot):
        self._snapshot = snapshot
        self.row = Tally("balance row", "each page has one, signed, at the page's last line", "pages")
        self.conservation = Tally(
            "conservation", "lines, balance, totals and lots add up to the same", "pages"
        )
        self.totals = Tally("totals", "each total and each count of lines is what the journal says", "pages")
        self.caps = Tally(
            "spending caps", "what counts against each cap is what the journal spent in its month", "caps"
        )
        self.parts = Tally("parts", "the subscription part and what is held are what the lots say", "pages")

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """The checks made here."""
        return self.row, self.conservation, self.totals, self.parts, self.caps

    def check(self, page: Page) -> None:
        """Check the row of a page that has lines."""
        of = {"account_id": page.account_id, "credit_type_id": page.credit_type_id}
        found = self._snapshot.first(ROW, **of)
        self.row.checked += 1
        if found is None:
            self._fail(self.row, page, "has lines but no balance row")
            return
        row = dict(zip(_COLUMNS.split(", "), found, strict=True))
        self._check_row(page, row)
        self._check_totals(page, row)
        sums = self._snapshot.first(LOT_SUMS, **of)
        holds = self._snapshot.first(OPEN_HOLDS, **of)
        assert sums is not None and holds is not None
        remaining, held, subscription = (int(value) for value in sums)
        self._check_conservation(page, row, remaining)
        self._check_cap(page, row, of)
        self._check_parts(page, row, {"held": held, "subscription": subscription}, int(holds[0]))

    def check_rows_without_lines(self) -> None:
        """A row without a journal may only say zero."""
        for account_id, credit_type_id, *values in self._snapshot.all(ROWS_WITHOUT_LINES):
            row = dict(zip(_COLUMNS.split(", "), values, strict=True))
            page = Page(account_id, credit_type_id)
            self.row.checked += 1
            if row["last_sequence"] or any(row[name] for name in (*AMOUNTS, "cap_used")):
                self._fail(
                    self.row, page,
                    f"has a balance row ({row['balance']}, last line {row['last_sequence']}) but no line",
                )  # fmt: skip

    def _check_row(self, page: Page, row: dict) -> None:
        if row["last_sequence"] != page.sequence:
            self._fail(
                self.row, page,
                f"the balance row's last line is {row['last_sequence']}, the journal's {page.sequence}",
            )  # fmt: skip
        if row["head_mac"] != page.head_mac:
            self._fail(self.row, page, "the balance row names another last line than the journal has")
        mac = chain.head_mac(page.account_id, page.credit_type_id, row["last_sequence"], row["head_mac"])
        if not hmac.compare_digest(mac, row["mac"]):
            self._fail(self.row, page, "the balance row is not as it was signed")

    def _check_conservation(self, page: Page, row: dict, remaining: int) -> None:
        self.conservation.checked += 1
        by_totals = row["purchased"] + row["granted"] - row["used"] - row["expired"] - row["removed"]
        sums = {"the lines": page.lines_sum, "the totals": by_totals, "the lots": remaining}
        for name, value in sums.items():
            if value != row["balance"]:
                self._fail(
                    self.conservation, page, f"the balance is {row['balance']}; {name} add up to {value}"
                )

    def _check_totals(self, page: Page, row: dict) -> None:
        self.totals.checked += 1
        for name, value in page.totals.items():
            if row[name] != value:
                self._fail(self.totals, page, f"{name} is {row[name]}; the journal says {value}")
        for name, value in page.counts.items():
            if row.get(f"{name}_lines") != value:
                self._fail(
                    self.totals, page, f"{name}_lines is {row.get(f'{name}_lines')}; the journal has {value}"
                )

    def _check_cap(self, page: Page, row: dict, of: dict[str, int]) -> None:
        if row["spending_cap"] is None:
            return
        self.caps.checked += 1
        spent = self._snapshot.first(
            SPENT_IN_MONTH, **of, starts_at=row["cap_starts_at"], ends_at=row["cap_ends_at"]
        )
        assert spent is not None
        if int(spent[0]) != row["cap_used"]:
            self._fail(
                self.caps, page, f"counts {row['cap_used']} against its cap; the month's lines say {spent[0]}"
            )

    def _check_parts(self, page: Page, row: dict, lots: dict[str, int], open_holds: int) -> None:
        self.parts.checked += 1
        for name, value in lots.items():
            if row[name] != value:
                self._fail(self.parts, page, f"{name} is {row[name]}; the lots say {value}")
        if page.subscription != row["subscription"]:
            self._fail(
                self.parts, page,
                f"subscription is {row['subscription']}; the lines on such lots say {page.subscription}",
            )  # fmt: skip
        if open_holds != row["held"]:
            self._fail(self.parts, page, f"held is {row['held']}; the open holds say {open_holds}")

    def _fail(self, tally: Tally, page: Page, message: str) -> None:
        tally.fail(message, page.account_id, self._snapshot.credit_types.get(page.credit_type_id))
