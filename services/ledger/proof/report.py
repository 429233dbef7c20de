"""What a proof says: which checks were made, over how many things, and each thing that is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_FAILURES_LISTED = 100


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is wrong. ``subject`` is the line, lot, hold or order; None: the page or the storage."""

    check: str
    message: str
    account_id: int | None = None
    credit_type: str | None = None
    subject: str | None = None

    def __str__(self) -> str:
        account = None if self.account_id is None else f"account {self.account_id}"
        place = ", ".join(part for part in (account, self.credit_type, self.subject) if part)
        return f"{place}: {self.message}" if place else self.message


@dataclass(frozen=True, slots=True)
class Check:
    """One rule: how many things were checked, how many failed, and the first of those."""

    name: str
    what: str
    checked: int
    unit: str
    failed: int
    failures: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return self.failed == 0


@dataclass(frozen=True, slots=True)
class ProofReport:
    """A whole proof. ``account_ids`` are all accounts for which something failed."""

    checks: tuple[Check, ...]
    account_ids: frozenset[int]
    line_count: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What failed, at most a hundred of each check."""
        return tuple(failure for check in self.checks for failure in check.failures)

    def lines(self) -> Iterator[str]:
        """The report as text: a line per check, its failures below it, and the verdict as the last line."""
        for check in self.checks:
            verdict = "ok" if check.passed else f"FAILED ({check.failed})"
            yield f"{verdict:<12} {check.name}: {check.what} ({check.checked:,} {check.unit})"
            for failure in check.failures:
                yield f"             - {failure}"
            if check.failed > len(check.failures):
                yield f"             - and {check.failed - len(check.failures):,} more"
        failed = sum(check.failed for check in self.checks)
        count = f"{len(self.checks)} checks over {self.line_count:,} lines in {self.seconds:.1f} s"
        yield (
            f"The ledger is whole: {count}."
            if self.passed
            else f"The ledger is NOT whole: {failed} failures; {count}."
        )


@dataclass(slots=True)
class Tally:
    """A check in the making."""

    name: str
    what: str
    unit: str
    checked: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    account_ids: set[int] = field(default_factory=set)

    def fail(
        self,
        message: str,
        account_id: int | None = None,
        credit_type: str | None = None,
        subject: str | None = None,
    ) -> None:
        """Note a failure; the first hundred are kept in full, of the others their account."""
        self.failed += 1
        if account_id is not None:
            self.account_ids.add(account_id)
        if len(self.failures) < MOST_FAILURES_LISTED:
            self.failures.append(Failure(self.name, message, account_id, credit_type, subject))

    def finished(self) -> Check:
        """The check as it goes into the report."""
        return Check(self.name, self.what, self.checked, self.unit, self.failed, tuple(self.failures))
