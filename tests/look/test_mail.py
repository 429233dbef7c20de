"""The mails are drawn with what their first comment asks for, and nothing more."""

import pytest
from flask import render_template

from tests.look.harness import create_harness

INVITATION = {
    "brand_name": "Coffer",
    "account_name": "Northwind <Studio>",
    "inviter_name": "Mara",
    "role": "member",
    "link": "https://credits.example/invitations/abc",
    "expires": "7 days",
}
RESET = {"brand_name": "Coffer", "link": "https://credits.example/reset/abc", "expires": "an hour"}


@pytest.mark.parametrize(("name", "context"), [("invitation", INVITATION), ("password_reset", RESET)])
class TestMail:
    def test_plain_text_holds_the_link_and_no_markup(self, name: str, context: dict[str, str]) -> None:
        with create_harness().test_request_context():
            text = render_template(f"emails/{name}.txt", **context)
        assert context["link"] in text.splitlines()
        assert "&lt;" not in text and "{#" not in text
        assert text.rstrip().endswith("--\nCoffer")

    def test_html_links_and_escapes(self, name: str, context: dict[str, str]) -> None:
        with create_harness().test_request_context():
            page = render_template(f"emails/{name}.html", **context)
        assert f'<a class="act" href="{context["link"]}">' in page
        assert "<Studio>" not in page
