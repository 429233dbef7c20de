"""The hosted pages of subscriptions, kept cards, unpaid invoices and the portal."""

import requests

from tests.sandbox.conftest import DECLINED, SECURE, event_types
from tests.sandbox.scene import LATER_DECLINED, Scene
from tests.sandbox.test_pages import filled


class TestLaterPages:
    """The hosted pages of subscriptions, kept cards, unpaid invoices and the portal."""

    def test_subscribing_and_saving_a_card_through_the_page(self, serving):
        scene = Scene(serving)
        ends = []
        for given in (
            {"mode": "subscription", "line_items": [{"price": scene.month, "quantity": 1}]},
            {"mode": "setup", "currency": "usd"},
        ):
            session = scene.client.v1.checkout.sessions.create(
                {"success_url": "https://shop.test/ok", "customer": scene.customer, **given}
            )
            page = requests.get(session.url, timeout=5)
            assert (
                "Subscribe for $10.00" if given["mode"] == "subscription" else "Save this card"
            ) in page.text
            form = {"token": filled(page)["token"], "number": SECURE}
            page = requests.post(session.url, data=form, timeout=5)
            assert "asks you to confirm" in page.text
            done = requests.post(f"{session.url}/confirm", allow_redirects=False, timeout=5,
                                 data={"token": filled(page)["token"], "outcome": "complete"})  # fmt: skip
            ends.append((done.status_code, done.headers["Location"]))
        assert ends == [(303, "https://shop.test/ok")] * 2
        assert scene.invoices() == [("subscription_create", 1000, "paid")]
        assert len(scene.client.v1.payment_methods.list({"customer": scene.customer}).data) == 3

    def test_an_unpaid_invoice_is_paid_on_its_page(self, serving):
        scene = Scene(serving)
        scene.use_card(LATER_DECLINED)
        scene.subscribe()
        address = scene.client.v1.invoices.list({}).data[0].hosted_invoice_url
        page = requests.get(address, timeout=5)
        form = {"token": filled(page)["token"], "number": DECLINED}
        assert requests.post(address, data=form, timeout=5).status_code == 402
        assert requests.post(address, data=form | {"token": "x"}, timeout=5).status_code == 400
        assert requests.post(address, data=form | {"number": "pm_of_another"}, timeout=5).status_code == 422
        page = requests.post(address, data=form | {"number": SECURE}, timeout=5)
        assert "asks you to confirm" in page.text
        page = requests.post(
            page.url, data={"token": filled(page)["token"], "outcome": "complete"}, timeout=5
        )
        assert "Paid" in page.text
        assert scene.invoices() == [("subscription_create", 1000, "paid")]

    def test_the_portal_changes_the_card_and_ends_the_subscription(self, serving):
        scene = Scene(serving)
        subscription = scene.subscribe()
        portal = scene.client.v1.billing_portal.sessions.create(
            {"customer": scene.customer, "return_url": "https://shop.test/billing"}
        )
        page = requests.get(portal.url, timeout=5)
        assert "4242" in page.text and "https://shop.test/billing" in page.text
        form = {"token": filled(page)["token"], "number": DECLINED}
        assert "declined" in requests.post(f"{portal.url}/card", data=form, timeout=5).text
        page = requests.post(f"{portal.url}/card", data=form | {"number": LATER_DECLINED}, timeout=5)
        assert "0341 (used)" in page.text
        form = {"token": filled(page)["token"], "subscription": subscription.id, "ends": "yes"}
        requests.post(f"{portal.url}/subscription", data=form, timeout=5)
        assert scene.subscription(subscription.id).cancel_at_period_end
        assert event_types(scene.client)[-1] == "customer.subscription.updated"

    def test_a_kept_card_that_the_bank_asks_about_is_confirmed_there(self, serving):
        scene = Scene(serving)
        method = scene.use_card(SECURE)
        scene.subscribe(off_session=True)
        address = scene.client.v1.invoices.list({}).data[0].hosted_invoice_url
        page = requests.get(address, timeout=5)
        assert "Your bank wants you to confirm" in page.text and "•••• 3184" in page.text
        form = {"token": filled(page)["token"], "number": method}
        page = requests.post(address, data=form, timeout=5)
        page = requests.post(
            page.url, data={"token": filled(page)["token"], "outcome": "complete"}, timeout=5
        )
        assert "<dd>Paid</dd>" in page.text and "Pay this invoice" not in page.text
        assert scene.client.v1.subscriptions.list({}).data[0].status == "active"
