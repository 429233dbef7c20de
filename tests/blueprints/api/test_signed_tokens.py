"""Tokens that the team's program signs: whom they speak for, what they may, and how they are refused."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask import Flask

from config import SettingsError, load_settings
from extensions import db
from models.ledger import Transaction
from tests.blueprints.api.conftest import Program, give
from tests.conftest import make_account, running_app, settings_for

SECRET = "a-shared-secret-of-the-team-0123456789abcdef"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    yield from running_app(settings_for(tmp_path, jwt_secret=SECRET))


def token(key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    facts = {"sub": "acme", "exp": int(time.time()) + 60} | claims
    return jwt.encode({name: value for name, value in facts.items() if value is not None}, key, algorithm)


def status(app: Flask, bearer: str) -> int:
    return Program(app, bearer).get("/api/credits/balance").status_code


class TestCaller:
    def test_a_token_reads_the_account_it_names(self, app: Flask) -> None:
        give(make_account("acme"), 70)
        answer = Program(app, token()).get("/api/credits/balance")
        assert answer.status_code == 200
        assert (answer.json["account"], answer.json["balance"]) == ("acme", 70)

    def test_naming_another_account_is_not_found(self, app: Flask) -> None:
        make_account("acme")
        make_account("other")
        answer = Program(app, token()).get("/api/credits/balance", account="other")
        assert answer.status_code == 404

    def test_an_account_that_is_not_there_is_not_found(self, app: Flask) -> None:
        assert status(app, token(sub="nobody")) == 404

    def test_without_a_scope_it_reads_only(self, app: Flask) -> None:
        give(make_account("acme"), 70)
        answer = Program(app, token()).post("/api/credits/deduct", {"amount": 5})
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden")

    @pytest.mark.parametrize("scope", ["read spend", "spend", "read,spend", ["spend"]])
    def test_with_spend_it_spends_and_the_journal_names_it(self, app: Flask, scope: object) -> None:
        account_id = make_account("acme")
        give(account_id, 70)
        answer = Program(app, token(scope=scope)).post("/api/credits/deduct", {"amount": 5})
        assert answer.status_code == 200
        line = db.session.get_one(Transaction, answer.json["transaction_id"])
        assert (line.amount, line.actor) == (-5, f"jwt:{account_id}")

    def test_no_scope_makes_it_a_platform_key(self, app: Flask) -> None:
        make_account("acme")
        answer = Program(app, token(scope="read spend manage platform")).get("/api/accounts")
        assert answer.status_code == 403


class TestRefusal:
    @pytest.mark.parametrize(
        "claims",
        [
            {"exp": 1},
            {"exp": None},
            {"sub": None},
            {"sub": 7},
            {"exp": "soon"},
            {"nbf": 2**33},
            {"aud": "coffer-sso"},
            {"aud": "somebody-else"},
        ],
    )
    def test_wrong_claims_are_unauthorized(self, app: Flask, claims: dict[str, Any]) -> None:
        make_account("acme")
        assert status(app, token()) == 200
        assert status(app, token(**claims)) == 401

    def test_another_secret_is_unauthorized(self, app: Flask) -> None:
        make_account("acme")
        assert status(app, token("another-secret-0123456789abcdef0123456789")) == 401

    def test_the_tokens_own_algorithm_has_no_say(self, app: Flask) -> None:
        make_account("acme")
        assert status(app, token(None, "none")) == 401
        assert status(app, token(SECRET, "HS512")) == 401

    @pytest.mark.parametrize("bearer", ["", "x", "a.b.c", "eyJ.eyJ.x", "." * 5000, "é.é.é"])
    def test_what_is_no_token_is_unauthorized(self, app: Flask, bearer: str) -> None:
        answer = Program(app, bearer or "-").get("/api/credits/balance")
        assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")

    def test_without_a_secret_no_token_is_taken(self, tmp_path: Path) -> None:
        for plain in running_app(settings_for(tmp_path)):
            make_account("acme")
            assert status(plain, token()) == 401


class TestPublicKeys:
    def keys(self, algorithm: str) -> tuple[Any, str]:
        private = (
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if algorithm == "RS256"
            else ec.generate_private_key(ec.SECP256R1())
        )
        pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return private, pem.decode()

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
    def test_signed_with_the_private_key_is_taken(self, tmp_path: Path, algorithm: str) -> None:
        private, public = self.keys(algorithm)
        settings = settings_for(tmp_path, jwt_algorithm=algorithm, jwt_public_key=public)
        for app in running_app(settings):
            make_account("acme")
            assert status(app, token(private, algorithm)) == 200
            # The public key as a shared secret: what the algorithm in the header would allow.
            assert status(app, forged(public)) == 401

    def test_a_key_of_another_kind_stops_the_start(self, tmp_path: Path) -> None:
        _, public = self.keys("ES256")
        with pytest.raises(SettingsError, match="JWT_PUBLIC_KEY"):
            load_settings(_env_file=None, instance_dir=tmp_path, jwt_algorithm="RS256", jwt_public_key=public)


def forged(public: str) -> str:
    """Signed with HS256 by hand, since the library refuses to use a public key for it."""
    import base64
    import hashlib
    import hmac
    import json

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    body = part({"alg": "HS256", "typ": "JWT"}) + b"." + part({"sub": "acme", "exp": int(time.time()) + 60})
    mac = base64.urlsafe_b64encode(hmac.digest(public.encode(), body, hashlib.sha256)).rstrip(b"=")
    return (body + b"." + mac).decode()
