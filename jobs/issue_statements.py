"""issue-statements: each agency's statement of a cycle that is over."""

from flask import Flask

from services.overage.statements import issue_due_statements


def run(app: Flask) -> str:
    """Issue what is due and not issued yet."""
    return f"{issue_due_statements()} statements issued"
