"""A second database without tables."""

from tests.conftest import bare_postgres_url as second_postgres_url

__all__ = ["second_postgres_url"]
