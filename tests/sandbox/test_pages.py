"""The hosted pages, as a browser without JavaScript meets them."""

import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
import requests
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from sandbox.pages import hosted_pages
from tests.sandbox.conftest import BANK, DECLINED, GOOD, SECURE, client_of, new_session

SUCCESS = "https://shop.test/ok?session_id="


class _Form(HTMLParser):
    """The fields and the action of a page's form."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "input":
            self.fields[given["name"] or ""] = given.get("value") or ""


def filled(page: requests.Response, **values: str) -> dict[str, str]:
    """The form of a page as sent when these fields are filled in."""
    form = _Form()
    form.feed(page.text)
    return form.fields | values


def submit(page: requests.Response, **values: str) -> requests.Response:
    """Send the form of a page; redirects to the shop are not followed."""
    answer = requests.post(page.url, data=filled(page, **values), timeout=5, allow_redirects=False)
    if answer.is_redirect and "shop.test" not in answer.headers["Location"]:
        return requests.get(requests.compat.urljoin(page.url, answer.headers["Location"]), timeout=5)
    return answer


def status_of(client, session) -> tuple[str, str]:
    """The session's states now."""
    now = client.v1.checkout.sessions.retrieve(session.id)
    return now.status, now.payment_status


class TestCheckout:
    def test_shows_what_is_sold_and_pays_as_it_stands(self, serving):
        server = serving(seller="Northwind")
        client = client_of(server.base_url)
        session = new_session(client)
        page = requests.get(session.url, timeout=5)
        for text in ("Northwind", "1,000 credits", "$9.00", "no real money", "https://shop.test/back"):
            assert text in page.text
        paid = submit(page, email="a@shop.test")
        assert (paid.status_code, paid.headers["Location"]) == (303, SUCCESS + session.id)
        assert status_of(client, session) == ("complete", "paid")
        assert client.v1.checkout.sessions.retrieve(session.id).customer_details.email == "a@shop.test"

    def test_known_customer_is_not_asked_for_the_address(self, client):
        customer = client.v1.customers.create({"email": "known@shop.test"})
        page = requests.get(new_session(client, customer=customer.id).url, timeout=5)
        assert "known@shop.test" in page.text
        assert "email" not in filled(page)

    def test_declined_says_why_and_lets_one_try_again(self, client):
        session = new_session(client)
        page = requests.get(session.url, timeout=5)
        declined = submit(page, number="4000 0000 0000 9995", email="a@shop.test")
        assert declined.status_code == 402
        assert "insufficient funds" in declined.text
        assert filled(declined)["email"] == "a@shop.test"
        assert status_of(client, session) == ("open", "unpaid")
        assert submit(declined, number=GOOD).headers["Location"] == SUCCESS + session.id

    def test_every_card_can_be_chosen_without_typing(self, client):
        page = requests.get(new_session(client).url, timeout=5)
        links = re.findall(r'href="([^"]*number=(\d+))"', page.text)
        assert {GOOD, DECLINED, SECURE, BANK, "4000002500003155", "4100000000000019"} <= {n for _, n in links}
        for address, number in links:
            chosen = requests.get(requests.compat.urljoin(page.url, address.replace("&amp;", "&")), timeout=5)
            assert filled(chosen)["number"].replace(" ", "") == number

    def test_other_numbers_are_refused(self, client):
        session = new_session(client)
        answer = submit(requests.get(session.url, timeout=5), number="4111", email="a@shop.test")
        assert answer.status_code == 422 and "no test card" in answer.text
        assert status_of(client, session) == ("open", "unpaid")

    @pytest.mark.parametrize("token", ["", "other", "é"])
    def test_form_without_its_token_is_refused(self, client, token):
        session = new_session(client)
        for path in ("", "/confirm"):
            sent = {"token": token, "number": GOOD, "outcome": "complete"}
            assert requests.post(session.url + path, data=sent, timeout=5).status_code == 400
        assert status_of(client, session) == ("open", "unpaid")

    def test_paying_twice_pays_once(self, client, server):
        session = new_session(client)
        page = requests.get(session.url, timeout=5)
        for _ in range(2):
            assert submit(page, email="a@shop.test").headers["Location"] == SUCCESS + session.id
        assert len(list(server.store.all("charge"))) == 1

    def test_expired_and_unknown_sessions_say_so(self, client, server):
        session = new_session(client)
        client.v1.checkout.sessions.expire(session.id)
        gone = requests.get(session.url, timeout=5)
        assert gone.status_code == 410 and "expired" in gone.text
        for path in ("pay/cs_none", "invoices/in_none", "receipts/ch_none", "authenticate/pi_none", "x"):
            answer = requests.get(f"{server.base_url}/sandbox/{path}", timeout=5)
            assert answer.status_code == 404 and "not possible" in answer.text

    def test_what_is_sold_is_text(self, client):
        price = {"currency": "usd", "unit_amount": 900, "product_data": {"name": "<b>Credits</b>"}}
        page = requests.get(
            new_session(client, line_items=[{"price_data": price, "quantity": 1}]).url, timeout=5
        )
        assert "<b>" not in page.text and "&lt;b&gt;Credits" in page.text


class TestSecure:
    def test_completed(self, client):
        session = new_session(client)
        asked = submit(requests.get(session.url, timeout=5), number=SECURE, email="a@shop.test")
        assert "asks you to confirm" in asked.text
        done = submit(asked, outcome="complete")
        assert (done.status_code, done.headers["Location"]) == (303, SUCCESS + session.id)
        assert status_of(client, session) == ("complete", "paid")
        assert client.v1.checkout.sessions.retrieve(session.id).customer_details.email == "a@shop.test"

    def test_failed_then_another_card(self, client):
        session = new_session(client)
        asked = submit(requests.get(session.url, timeout=5), number=SECURE, email="a@shop.test")
        failed = submit(asked, outcome="fail")
        assert failed.status_code == 402 and "did not confirm" in failed.text
        assert status_of(client, session) == ("open", "unpaid")
        back = requests.get(session.url, timeout=5)
        assert submit(back, number=GOOD, email="a@shop.test").headers["Location"] == SUCCESS + session.id

    def test_completed_and_then_declined(self, client):
        session = new_session(client)
        asked = submit(requests.get(session.url, timeout=5), number="4000008400001629", email="a@shop.test")
        declined = submit(asked, outcome="complete")
        assert declined.status_code == 402 and "declined" in declined.text
        assert status_of(client, session) == ("open", "unpaid")

    @pytest.mark.parametrize(
        ("outcome", "status"), [("complete", "succeeded"), ("fail", "requires_payment_method")]
    )
    def test_payment_that_a_program_began(self, client, outcome, status):
        intent = client.v1.payment_intents.create(
            {
                "amount": 900, "currency": "usd", "payment_method": "pm_card_authenticationRequired",
                "confirm": True, "return_url": "https://shop.test/done?a=1",
            }
        )  # fmt: skip
        page = requests.get(intent.next_action.redirect_to_url.url, timeout=5)
        assert requests.post(page.url, data={"outcome": outcome}, timeout=5).status_code == 400
        answer = submit(page, outcome=outcome)
        assert answer.headers["Location"] == f"https://shop.test/done?a=1&payment_intent={intent.id}"
        assert client.v1.payment_intents.retrieve(intent.id).status == status


class TestDocuments:
    def test_invoice_page_pdf_and_receipt(self, client):
        session = new_session(client)
        submit(requests.get(session.url, timeout=5), email="a@shop.test")
        paid = client.v1.checkout.sessions.retrieve(
            session.id, {"expand": ["invoice", "payment_intent.latest_charge"]}
        )
        page = requests.get(paid.invoice.hosted_invoice_url, timeout=5)
        for text in (paid.invoice.number, "1,000 credits", "$9.00", "Paid", "a@shop.test"):
            assert text in page.text
        assert "$9.00" in requests.get(paid.invoice.invoice_pdf, timeout=5).text
        (link,) = re.findall(r'href="([^"]+\.pdf)"', page.text)
        pdf = requests.get(requests.compat.urljoin(page.url, link), timeout=5)
        assert pdf.headers["Content-Type"] == "application/pdf"
        assert pdf.content.startswith(b"%PDF-1.4") and pdf.content.endswith(b"%%EOF\n")
        assert b"1,000 credits" in pdf.content and b"$9.00" in pdf.content
        start = int(pdf.content.split(b"startxref\n")[1].split(b"\n")[0])
        assert pdf.content[start:].startswith(b"xref")
        receipt = requests.get(paid.payment_intent.latest_charge.receipt_url, timeout=5)
        assert "$9.00" in receipt.text and "4242" in receipt.text


class TestMounted:
    def test_policy_is_strict_and_lets_the_form_lead_to_the_shop(self, client):
        page = requests.get(new_session(client).url, timeout=5)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src" not in policy
        assert "form-action 'self' https://shop.test" in policy
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page.text)
        assert page.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("mount", ["/sandbox", "/shop/sandbox"])
    def test_work_under_any_mount_point(self, server, client, mount):
        session = new_session(client)
        browser = Client(DispatcherMiddleware(lambda *_: [], {mount: hosted_pages(server.store)}))
        page = browser.get(f"{mount}/pay/{session.id}")
        sheet = re.search(r'rel="stylesheet" href="([^"]+)"', page.text)
        assert sheet and sheet[1].startswith(f"{mount}/")
        assert browser.get(sheet[1]).status_code == 200
        action = re.search(r'<form method="post" action="([^"]+)"', page.text)
        token = re.search(r'name="token" value="([^"]+)"', page.text)
        assert action and token
        sent = {"token": token[1], "number": GOOD}
        assert browser.post(action[1], data=sent).headers["Location"] == SUCCESS + session.id

    def test_server_serves_them_under_a_prefix_of_its_own(self, server, client):
        session = new_session(client)
        seen: list[str] = []
        environ = {
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/shop", "PATH_INFO": f"/sandbox/pay/{session.id}",
            "QUERY_STRING": "", "SERVER_NAME": "shop.test", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(), "SERVER_PROTOCOL": "HTTP/1.1",
        }  # fmt: skip
        body = b"".join(server(environ, lambda status, headers: seen.append(status)))
        assert seen == ["200 OK"]
        assert b'href="/shop/sandbox/style.css"' in body

    def test_sheet_has_no_foreign_parts(self):
        sheet = (Path(__file__).resolve().parents[2] / "static" / "css" / "sandbox.css").read_text()
        assert "url(" not in sheet and "@import" not in sheet
