"""API keys: kept as a hash, scoped, revocable; the last use recorded now and then."""

import logging
from datetime import timedelta

import pytest
from sqlalchemy import select

from errors import InvalidRequest, NotFound, StorageUnavailable, Unauthorized
from extensions import db
from models.accounts import ApiKey
from models.audit import AuditEvent
from services.accounts import api_keys
from services.accounts.api_keys import caller_of, list_keys, mint, record_uses, revoke
from services.clock import wall_now
from tests.conftest import make_account


def row_of(minted):
    db.session.expire_all()
    return db.session.get(ApiKey, minted.key_id)


class TestMint:
    def test_only_the_hash_is_kept(self, either_app):
        minted = mint(None, "command")
        row = row_of(minted)
        assert minted.token.startswith("cof_") and len(minted.token) >= 36
        assert minted.token not in {str(value) for value in vars(row).values()}
        assert (row.prefix, row.scopes) == (minted.token[:12], "read,spend")

    @pytest.mark.parametrize("scopes", [(), ("everything",), ("read", "x")])
    def test_unknown_scopes_are_refused(self, app, scopes):
        with pytest.raises(InvalidRequest):
            mint(None, "command", scopes)
        assert list_keys() == []


class TestCaller:
    def test_of_an_account_and_of_the_instance(self, either_app):
        account_id = make_account()
        own = caller_of(mint(account_id, "command", ("read",)).token)
        assert (own.account_id, own.is_platform, own.scopes) == (account_id, False, {"read"})
        platform = mint(None, "command", ("manage", "read"))
        caller = caller_of(platform.token)
        assert (caller.account_id, caller.is_platform, caller.actor) == (None, True, f"key:{platform.key_id}")

    def test_revoked_and_unknown_are_the_same(self, app):
        minted = mint(None, "command")
        revoke(minted.key_id)
        told = set()
        for token in (minted.token, "cof_unknown", "eyJhbGciOiJIUzI1NiJ9.e30.x", "", "cof_\ud800"):
            with pytest.raises(Unauthorized) as refused:
                caller_of(token)
            told.add(str(refused.value))
        assert len(told) == 1

    def test_revoking_anothers_key_is_refused(self, app):
        minted = mint(make_account(), "command")
        with pytest.raises(NotFound):
            revoke(minted.key_id, make_account())
        assert caller_of(minted.token)


class TestLastUse:
    def test_recorded_once_a_minute(self, either_app, monkeypatch):
        minted = mint(None, "command")
        written = []
        write = api_keys._write_uses
        monkeypatch.setattr(api_keys, "_write_uses", lambda due: (written.append(due), write(due)))
        for _ in range(5):
            caller_of(minted.token)
            record_uses()
        assert len(written) == 1
        assert wall_now() - row_of(minted).last_used_at < timedelta(minutes=1)

    def test_another_process_does_not_write_it_again(self, app, monkeypatch):
        minted = mint(None, "command")
        caller_of(minted.token)
        record_uses()
        monkeypatch.setattr(api_keys, "_uses", api_keys._Uses())
        caller_of(minted.token)
        assert api_keys._uses.take() == {}

    def test_a_failure_fails_no_request(self, app, monkeypatch, caplog):
        minted = mint(None, "command")
        caller_of(minted.token)

        def fail(due):
            raise StorageUnavailable()

        monkeypatch.setattr(api_keys, "_write_uses", fail)
        with caplog.at_level(logging.WARNING):
            record_uses()
        assert "not recorded" in caplog.text and row_of(minted).last_used_at is None


class TestAudit:
    def test_minting_and_revoking_are_written_down_without_the_key(self, app):
        minted = mint(None, "user:1")
        revoke(minted.key_id, actor="user:2")
        revoke(minted.key_id, actor="user:3")
        events = db.session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()
        assert [(e.action, e.actor) for e in events] == [("key.minted", "user:1"), ("key.revoked", "user:2")]
        assert not any(minted.token in e.details for e in events)
