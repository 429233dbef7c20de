"""Customers, products, prices, and lists of them."""

from datetime import UTC, datetime, timedelta

import pytest
import stripe

from tests.sandbox.conftest import client_of, event_types


def a_price(client, **more) -> stripe.Price:
    """A price of $5 on a product of its own."""
    product = client.v1.products.create({"name": "Credits"})
    return client.v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 500, **more}  # type: ignore[arg-type]
    )


class TestLists:
    @pytest.mark.parametrize("limit", [1, 2, 7, 100])
    def test_pages_are_walked_to_the_end(self, client, limit):
        made = [client.v1.customers.create({"name": str(number)}).id for number in range(7)]
        listed = client.v1.customers.list({"limit": limit})
        assert listed.has_more == (limit < 7)
        assert [item.id for item in listed.auto_paging_iter()] == made[::-1]

    def test_backwards_from_an_object(self, client):
        made = [client.v1.customers.create({"name": str(number)}).id for number in range(5)]
        page = client.v1.customers.list({"limit": 2, "ending_before": made[0]})
        assert ([item.id for item in page.data], page.has_more) == ([made[2], made[1]], True)
        walked = client.v1.customers.list({"limit": 2, "ending_before": made[0]}).auto_paging_iter()
        assert [item.id for item in walked] == made[1:]

    @pytest.mark.parametrize("limit", [0, 101])
    def test_limit_is_held(self, client, limit):
        with pytest.raises(stripe.InvalidRequestError, match="between 1 and 100"):
            client.v1.customers.list({"limit": limit})

    def test_unknown_place_is_missing(self, client):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.customers.list({"starting_after": "cus_none"})
        assert refusal.value.param == "starting_after"

    def test_by_time(self, serving):
        clock = [datetime(2026, 1, 1, tzinfo=UTC)]
        client = client_of(serving(now=lambda: clock[0]).base_url)
        made = []
        for _ in range(3):
            made.append(client.v1.customers.create({}))
            clock[0] += timedelta(days=1)
        second = made[1].created
        found = {
            name: [item.id for item in client.v1.customers.list({"created": bounds}).data]
            for name, bounds in (
                ("exactly", second), ("after", {"gt": second}), ("until", {"lte": second}),
                ("between", {"gte": second, "lt": second + 1}),
            )
        }  # fmt: skip
        ids = [item.id for item in made]
        assert found == {
            "exactly": [ids[1]], "after": [ids[2]], "until": [ids[1], ids[0]], "between": [ids[1]],
        }  # fmt: skip


class TestCustomers:
    def test_update_merges_metadata_and_tells_what_was_before(self, client):
        made = client.v1.customers.create({"name": "A", "metadata": {"a": "1", "b": "2"}})
        changed = client.v1.customers.update(made.id, {"name": "B", "metadata": {"b": "", "c": "3"}})
        assert (changed.name, changed.metadata.to_dict()) == ("B", {"a": "1", "c": "3"})
        event = client.v1.events.list({"type": "customer.updated"}).data[0]
        assert event.data.previous_attributes["name"] == "A"
        assert event.request.id.startswith("req_")

    def test_empty_value_unsets(self, client):
        made = client.v1.customers.create({"name": "A", "email": "a@shop.test", "address": {"city": "Bonn"}})
        changed = client.v1.customers.update(made.id, {"email": "", "address": "", "metadata": ""})
        assert (changed.name, changed.email, changed.address) == ("A", None, None)

    def test_deleted_is_marked_and_cannot_be_used(self, client):
        made = client.v1.customers.create({"name": "A"})
        assert client.v1.customers.delete(made.id).deleted
        assert client.v1.customers.retrieve(made.id).deleted
        assert client.v1.customers.list().data == []
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.customers.update(made.id, {"name": "B"})
        assert refusal.value.code == "resource_missing"
        assert event_types(client) == ["customer.created", "customer.deleted"]

    def test_found_by_email(self, client):
        client.v1.customers.create({"email": "a@shop.test"})
        made = client.v1.customers.create({"email": "b@shop.test"})
        assert [c.id for c in client.v1.customers.list({"email": "b@shop.test"}).data] == [made.id]


class TestPrices:
    def test_found_by_lookup_key_which_moves_when_told(self, client):
        first = a_price(client, lookup_key="small")
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            a_price(client, lookup_key="small")
        assert refusal.value.param == "lookup_key"
        second = a_price(client, lookup_key="small", transfer_lookup_key=True)
        assert [p.id for p in client.v1.prices.list({"lookup_keys": ["small", "big"]}).data] == [second.id]
        assert client.v1.prices.retrieve(first.id).lookup_key is None
        client.v1.prices.update(first.id, {"lookup_key": "small", "transfer_lookup_key": True})
        assert [p.id for p in client.v1.prices.list({"lookup_keys": ["small"]}).data] == [first.id]

    def test_archived_is_listed_apart(self, client):
        kept, gone = a_price(client), a_price(client)
        client.v1.prices.update(gone.id, {"active": False})
        assert [p.id for p in client.v1.prices.list({"active": True}).data] == [kept.id]
        assert [p.id for p in client.v1.prices.list({"product": gone.product}).data] == [gone.id]
        assert event_types(client)[-1] == "price.updated"

    def test_amount_in_parts_of_a_cent(self, client):
        price = a_price(client)
        assert (price.unit_amount, str(price.unit_amount_decimal)) == (500, "500")
        made = client.v1.prices.create(
            {"product": price.product, "currency": "usd", "unit_amount_decimal": "0.75"}
        )
        assert (made.unit_amount, str(made.unit_amount_decimal)) == (None, "0.75")

    def test_recurring(self, client):
        price = a_price(client, recurring={"interval": "month"})
        assert (price.type, price.recurring.interval, price.recurring.interval_count) == (
            "recurring", "month", 1,
        )  # fmt: skip


class TestProducts:
    def test_own_id_once(self, client):
        client.v1.products.create({"id": "starter", "name": "Starter"})
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.products.create({"id": "starter", "name": "Starter"})
        assert refusal.value.code == "resource_already_exists"

    def test_with_its_price(self, client):
        given = {"name": "A", "default_price_data": {"currency": "usd", "unit_amount": 900}}
        product = client.v1.products.create(given)
        assert client.v1.prices.retrieve(product.default_price).unit_amount == 900

    def test_deleted_only_without_prices(self, client):
        price = a_price(client)
        with pytest.raises(stripe.InvalidRequestError, match="prices"):
            client.v1.products.delete(price.product)
        alone = client.v1.products.create({"name": "Alone"})
        assert client.v1.products.delete(alone.id).deleted
        assert [p.id for p in client.v1.products.list().data] == [price.product]
