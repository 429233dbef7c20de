"""reconcile: what the payment provider knows is held against what we know."""

from flask import Flask

from services.billing.reconcile import reconcile


def run(app: Flask) -> str:
    """Compare the last thirty days; mend what can be mended."""
    report = reconcile(app.extensions["payments"])
    checked = ", ".join(f"{count} {what}" for what, count in sorted(report.checked.items()) if count)
    settled = len(report.findings) - report.open_findings
    return f"compared {checked or 'nothing'}; {settled} mended, {report.open_findings} for an operator"
