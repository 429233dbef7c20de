"""The hosted pages: where a customer pays, confirms by 3-D Secure or goes back; the invoice of a payment.

A small WSGI app of its own, mounted by the product under ``/sandbox/`` so that browsers stay on one origin.
"""

from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from sandbox.cards import CARDS, card_of
from sandbox.checkout import expire_if_due, pay_checkout
from sandbox.problems import StripeProblem
from sandbox.store import Object, Store

ROOT = Path(__file__).resolve().parents[1]
ZERO_DECIMAL = {"jpy", "krw", "vnd", "clp"}


def hosted_pages(store: Store) -> Flask:
    """The pages of a store, as a WSGI callable for any mount point."""
    pages = Flask(
        "sandbox.pages", root_path=str(ROOT), template_folder="templates/sandbox", static_folder=None
    )
    pages.add_template_filter(_money, "money")

    @pages.get("/style.css")
    def style() -> Response:
        return send_file(ROOT / "static" / "css" / "sandbox.css", max_age=3600)

    @pages.get("/icon.svg")
    def icon() -> Response:
        return send_file(ROOT / "static" / "img" / "favicon.svg", max_age=3600)

    @pages.get("/pay/<session_id>")
    def pay(session_id: str) -> str | AnyResponse:
        return _show(_open_session(store, session_id))

    @pages.post("/pay/<session_id>")
    def paid(session_id: str) -> str | AnyResponse | tuple[str, int]:
        session = _open_session(store, session_id)
        _check_token(session)
        card = card_of(request.form.get("number", ""))
        if card is None:
            return _show(session, "That is no test card of the sandbox. Choose one from the list."), 422
        outcome = pay_checkout(store, session_id, card.number, email=request.form.get("email") or None)
        if outcome.get("_refusal") == "requires_action":
            return redirect(url_for("confirm", session_id=session_id, number=card.number), code=303)
        if "_refusal" in outcome:
            return _show(session, outcome["_refusal"]), 402
        return redirect(_success_url(outcome), code=303)

    @pages.get("/pay/<session_id>/confirm")
    def confirm(session_id: str) -> str | AnyResponse:
        session = _open_session(store, session_id)
        _let_form_lead_to(session)
        return render_template("confirm.html", session=session, number=request.args.get("number", ""))

    @pages.post("/pay/<session_id>/confirm")
    def confirmed(session_id: str) -> str | AnyResponse | tuple[str, int]:
        session = _open_session(store, session_id)
        _check_token(session)
        card = card_of(request.form.get("number", ""))
        if card is None or request.form.get("outcome") != "complete":
            return _show(session, "You did not confirm the payment. Try again or use another card."), 402
        outcome = pay_checkout(store, session_id, card.number, authenticated=True)
        if "_refusal" in outcome:
            return _show(session, outcome["_refusal"]), 402
        return redirect(_success_url(outcome), code=303)

    @pages.get("/invoices/<invoice_id>")
    @pages.get("/invoices/<invoice_id>/pdf")
    def invoice(invoice_id: str) -> str:
        return render_template("invoice.html", invoice=store.get("invoice", invoice_id))

    pages.register_error_handler(StripeProblem, _problem)
    pages.after_request(_secured)
    return pages


def _open_session(store: Store, session_id: str) -> Object:
    session = expire_if_due(store, store.get("checkout.session", session_id))
    if session["status"] == "complete":
        abort(redirect(_success_url(session), code=303))
    if session["status"] == "expired":
        raise StripeProblem(410, "invalid_request_error", "This checkout has expired. Nothing was paid.")
    return session


def _check_token(session: Object) -> None:
    if request.form.get("token") != session["_token"]:
        raise StripeProblem(400, "invalid_request_error", "This form is stale. Open the checkout again.")


def _show(session: Object, refusal: str = "") -> str:
    _let_form_lead_to(session)
    return render_template("pay.html", session=session, cards=list(CARDS.values()), refusal=refusal,
                           number=request.form.get("number", "4242 4242 4242 4242"))  # fmt: skip


def _let_form_lead_to(session: Object) -> None:
    """Browsers hold a form's redirects against the policy: the merchant's origin must be in it."""
    parts = urlsplit(session["success_url"])
    g.form_targets = {f"{parts.scheme}://{parts.netloc}"}


def _success_url(session: Object) -> str:
    return session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])


def _problem(problem: StripeProblem) -> tuple[str, int]:
    return render_template("problem.html", message=str(problem)), problem.status


def _money(amount: int, currency: str) -> str:
    digits = 0 if currency in ZERO_DECIMAL else 2
    sign = "$" if currency == "usd" else f"{currency.upper()} "
    whole, part = divmod(amount, 10**digits)
    return f"{sign}{whole:,}" + (f".{part:0{digits}d}" if digits else "")


def _secured(response: Response) -> Response:
    """The same strict policy as the product's own; a form may lead on to the merchant's pages."""
    targets = {"'self'", *getattr(g, "form_targets", ())}
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; frame-ancestors 'none'; "
        f"base-uri 'none'; form-action {' '.join(sorted(targets))}"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
