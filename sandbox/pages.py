"""The hosted pages: where a customer pays, confirms by 3-D Secure or goes back; invoices and receipts.

A small WSGI app of its own, mounted by the product under ``/sandbox/`` so that browsers stay on one origin.
"""

import hmac
import logging
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, redirect, render_template, request, send_file, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from sandbox.billing import AUTHENTICATION_REQUIRED
from sandbox.cards import CARDS, GOOD_CARD, card_of
from sandbox.checkout import expire_if_due
from sandbox.connect import link_of, use_link
from sandbox.documents import day, invoice_pdf, money, sums_of
from sandbox.intents import authenticate_intent
from sandbox.paying import (
    authenticate_invoice,
    kept_methods,
    pay_checkout,
    pay_open_invoice,
    refuse_authentication,
    waiting_intent,
)
from sandbox.portal import end_with_period, portal_of, use_card
from sandbox.problems import StripeProblem
from sandbox.setups import authenticate_setup
from sandbox.shapes import CARD_BRANDS
from sandbox.store import Object, Store

ROOT = Path(__file__).resolve().parents[1]
STALE = "This form is stale. Open the checkout again."
NO_TEST_CARD = "That is no test card of the sandbox. Choose one from the list."
NOT_CONFIRMED = "You did not confirm the payment. Try again or use another card."
Page = str | AnyResponse | tuple[str, int]


def hosted_pages(store: Store) -> Flask:
    """The pages of a store, as a WSGI callable for any mount point."""
    pages = Flask(
        "sandbox.pages", root_path=str(ROOT), template_folder="templates/sandbox", static_folder=None
    )
    pages.logger = logging.getLogger("coffer.sandbox")  # type: ignore[misc]
    pages.add_template_filter(money, "money")
    pages.add_template_filter(day, "day")
    pages.add_template_filter(_grouped, "grouped")
    pages.context_processor(lambda: {"seller": store.seller, "brands": CARD_BRANDS})
    pages.add_url_rule("/style.css", "style", _style)
    pages.add_url_rule("/icon.svg", "icon", _icon)
    _add_checkout(pages, store)
    _add_authentication(pages, store)
    _add_documents(pages, store)
    _add_portal(pages, store)
    _add_onboarding(pages, store)
    pages.register_error_handler(StripeProblem, _problem)
    pages.register_error_handler(HTTPException, _http_problem)
    pages.after_request(_secured)
    return pages


def _style() -> Response:
    return send_file(ROOT / "static" / "css" / "sandbox.css", max_age=3600)


def _icon() -> Response:
    return send_file(ROOT / "static" / "img" / "favicon.svg", max_age=3600)


def _add_checkout(pages: Flask, store: Store) -> None:
    @pages.get("/pay/<session_id>")
    def pay(session_id: str) -> Page:
        return _checkout(store, _open_session(store, session_id))

    @pages.post("/pay/<session_id>")
    def paid(session_id: str) -> Page:
        session = _open_session(store, session_id)
        _check_token(session["_token"])
        card = card_of(request.form.get("number", ""))
        if card is None:
            return _checkout(store, session, NO_TEST_CARD), 422
        outcome = pay_checkout(store, session_id, card.number, email=request.form.get("email") or None)
        if outcome.get("_refusal") == "requires_action":
            return redirect(url_for("confirm", session_id=session_id), code=303)
        if "_refusal" in outcome:
            return _checkout(store, session, outcome["_refusal"]), 402
        return redirect(_success_url(outcome), code=303)

    @pages.get("/pay/<session_id>/confirm")
    def confirm(session_id: str) -> Page:
        session = _open_session(store, session_id)
        intent = waiting_intent(store, session)
        if intent is None:
            return redirect(url_for("pay", session_id=session_id), code=303)
        _let_form_lead_to(session["success_url"])
        return render_template("confirm.html", intent=intent, token=session["_token"])

    @pages.post("/pay/<session_id>/confirm")
    def confirmed(session_id: str) -> Page:
        session = _open_session(store, session_id)
        _check_token(session["_token"])
        intent = waiting_intent(store, session)
        if intent is None:
            return redirect(url_for("pay", session_id=session_id), code=303)
        if request.form.get("outcome") != "complete":
            refuse_authentication(store, session_id)
            return _checkout(store, session, NOT_CONFIRMED), 402
        number = store.get("payment_method", intent["payment_method"])["_card"]
        outcome = pay_checkout(store, session_id, number, authenticated=True)
        if "_refusal" in outcome:
            return _checkout(store, session, outcome["_refusal"]), 402
        return redirect(_success_url(outcome), code=303)


def _add_authentication(pages: Flask, store: Store) -> None:
    """The page of a payment that a program began and its customer must confirm."""

    @pages.get("/authenticate/<intent_id>")
    def authenticate(intent_id: str) -> Page:
        intent = _intent_of(store, intent_id)
        if intent["status"] != "requires_action":
            return redirect(_return_url(intent), code=303)
        _let_form_lead_to(_return_url(intent))
        return render_template("confirm.html", intent=intent, token=intent["_token"])

    @pages.post("/authenticate/<intent_id>")
    def authenticated(intent_id: str) -> Page:
        intent = _intent_of(store, intent_id)
        _check_token(intent.get("_token", ""))
        if intent["status"] == "requires_action":
            succeeds = request.form.get("outcome") == "complete"
            if intent["object"] == "setup_intent":
                authenticate_setup(store, intent_id, succeeds=succeeds)
            elif intent.get("_invoice"):
                authenticate_invoice(store, intent["_invoice"], succeeds=succeeds)
            else:
                authenticate_intent(store, intent_id, succeeds=succeeds)
        return redirect(_return_url(intent), code=303)


def _intent_of(store: Store, intent_id: str) -> Object:
    """A payment intent, or the setup intent of a card that is to be kept."""
    return store.find("setup_intent", intent_id) or store.get("payment_intent", intent_id)


def _add_documents(pages: Flask, store: Store) -> None:
    # ``invoice_pdf`` leads to the page too: one that can be printed, with the file a link away.
    @pages.get("/invoices/<invoice_id>")
    @pages.get("/invoices/<invoice_id>/pdf")
    @pages.get("/invoices/<invoice_id>/paid")
    def invoice(invoice_id: str) -> str:
        return _invoice_page(store, store.get("invoice", invoice_id))

    @pages.post("/invoices/<invoice_id>")
    def pay_invoice(invoice_id: str) -> Page:
        found = store.get("invoice", invoice_id)
        _check_token(found.get("_token", ""))
        number = request.form.get("number", "")
        kept = [method["id"] for method in kept_methods(store, found["customer"])]
        if number not in kept and card_of(number) is None:
            return _invoice_page(store, found, NO_TEST_CARD), 422
        outcome = pay_open_invoice(store, invoice_id, number)
        if outcome.get("_refusal") == "requires_action":
            return redirect(url_for("authenticate", intent_id=outcome["_intent"]), code=303)
        if "_refusal" in outcome:
            return _invoice_page(store, outcome, outcome["_refusal"]), 402
        return redirect(url_for("invoice", invoice_id=invoice_id), code=303)

    @pages.get("/invoices/<invoice_id>/invoice.pdf")
    def pdf(invoice_id: str) -> Response:
        found = store.get("invoice", invoice_id)
        name = f"Invoice-{found['number']}.pdf"
        return Response(invoice_pdf(found), mimetype="application/pdf",
                        headers={"Content-Disposition": f'inline; filename="{name}"'})  # fmt: skip

    @pages.get("/receipts/<charge_id>")
    def receipt(charge_id: str) -> str:
        charge = store.get("charge", charge_id)
        if charge["status"] == "failed":
            raise StripeProblem(404, "invalid_request_error", "This payment has no receipt: it was declined.")
        return render_template("receipt.html", charge=charge)


def _add_portal(pages: Flask, store: Store) -> None:
    def page(session_id: str, refusal: str = "") -> str:
        return render_template("portal.html", cards=list(CARDS.values()), refusal=refusal,
                               **portal_of(store, session_id))  # fmt: skip

    @pages.get("/portal/<session_id>")
    def portal(session_id: str) -> str:
        return page(session_id)

    @pages.post("/portal/<session_id>/card")
    def portal_card(session_id: str) -> Page:
        _check_token(portal_of(store, session_id)["session"]["_token"])
        refusal = use_card(store, session_id, request.form.get("number", ""))
        if refusal:
            return page(session_id, refusal), 402
        return redirect(url_for("portal", session_id=session_id), code=303)

    @pages.post("/portal/<session_id>/subscription")
    def portal_subscription(session_id: str) -> Page:
        _check_token(portal_of(store, session_id)["session"]["_token"])
        ends = request.form.get("ends") == "yes"
        end_with_period(store, session_id, request.form.get("subscription", ""), ends=ends)
        return redirect(url_for("portal", session_id=session_id), code=303)


def _add_onboarding(pages: Flask, store: Store) -> None:
    """Where the owner of a connected account finishes it."""

    @pages.get("/connect/<link_id>")
    def connect(link_id: str) -> Page:
        link = link_of(store, link_id)
        if link is None:
            return redirect(store.get("account_link", link_id)["_refresh_url"], code=303)
        _let_form_lead_to(link["_return_url"])
        return render_template("connect.html", link=link)

    @pages.post("/connect/<link_id>")
    def connected(link_id: str) -> Page:
        _check_token(store.get("account_link", link_id)["_token"])
        finishes = request.form.get("outcome") == "finish"
        return redirect(use_link(store, link_id, finishes=finishes), code=303)


def _invoice_page(store: Store, invoice: Object, refusal: str = "") -> str:
    error = (store.find("payment_intent", invoice["_intent"]) or {}).get("last_payment_error") or {}
    return render_template(
        "invoice.html", invoice=invoice, cards=list(CARDS.values()), refusal=refusal,
        sums=sums_of(invoice), kept=kept_methods(store, invoice["customer"]),
        asks=error.get("code") == AUTHENTICATION_REQUIRED,
    )  # fmt: skip


def _open_session(store: Store, session_id: str) -> Object:
    session = expire_if_due(store, store.get("checkout.session", session_id))
    if session["status"] == "complete":
        abort(redirect(_success_url(session), code=303))
    if session["status"] == "expired":
        raise StripeProblem(410, "invalid_request_error", "This checkout has expired. Nothing was paid.")
    return session


def _check_token(token: str) -> None:
    """Only the page itself knows the token: another site cannot pay. Raises StripeProblem."""
    if not token or not hmac.compare_digest(request.form.get("token", "").encode(), token.encode()):
        raise StripeProblem(400, "invalid_request_error", STALE)


def _checkout(store: Store, session: Object, refusal: str = "") -> str:
    _let_form_lead_to(session["success_url"])
    customer = store.find("customer", session["customer"]) or {}
    number = request.form.get("number") or request.args.get("number") or GOOD_CARD
    return render_template(
        "pay.html", session=session, lines=session["_lines"], cards=list(CARDS.values()), refusal=refusal,
        number=number, chosen=card_of(number), known_email=customer.get("email") or session["customer_email"],
        email=request.form.get("email", ""),
    )  # fmt: skip


def _let_form_lead_to(address: str) -> None:
    """Browsers hold a form's redirects against the policy: the merchant's origin must be in it."""
    parts = urlsplit(address)
    g.form_target = f"{parts.scheme}://{parts.netloc}"


def _success_url(session: Object) -> str:
    return session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])


def _return_url(intent: Object) -> str:
    """Where an intent's customer goes back to. Raises StripeProblem where no call named a place."""
    address = intent.get("_return_url", "")
    if not address:
        raise StripeProblem(404, "invalid_request_error", "This payment has no page to confirm it on.")
    return f"{address}{'&' if '?' in address else '?'}{intent['object']}={intent['id']}"


def _problem(problem: StripeProblem) -> tuple[str, int]:
    return render_template("problem.html", message=str(problem)), problem.status


def _http_problem(problem: HTTPException) -> Page:
    if problem.response is not None:  # a redirect that a helper began
        return problem.response  # type: ignore[return-value]
    return render_template("problem.html", message=problem.description), problem.code or 500


def _grouped(number: str) -> str:
    """A card number in groups of four."""
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))


def _secured(response: Response) -> Response:
    """The same strict policy as the product's own; a form may lead on to the merchant's pages."""
    targets = " ".join(filter(None, ("'self'", getattr(g, "form_target", ""))))
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; frame-ancestors 'none'; "
        f"base-uri 'none'; form-action {targets}"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
