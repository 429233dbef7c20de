"""A second empty PostgreSQL database."""

from tests.conftest import postgres_url as second_postgres_url

__all__ = ["second_postgres_url"]
