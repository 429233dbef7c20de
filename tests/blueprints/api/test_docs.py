"""The written contract: every call, field and code is in it, and its examples run."""

import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import get_args

import pytest
from pydantic import RootModel
from werkzeug.serving import make_server

from blueprints.api.calls import CALLS
from blueprints.api.codes import MEANINGS, error_codes
from services.accounts.accounts import account_by_name
from services.accounts.api_keys import mint
from services.ledger.balances import balance_of

DOCS = Path(__file__).resolve().parents[3] / "docs"


class TestDocs:
    @pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
    def test_every_call_with_its_fields(self, call):
        text = (DOCS / "api.md").read_text()
        path = re.sub(r"<(?:rowid|string):\w+>", "ID", re.sub(r"<path:\w+>", "NAME", call.path))
        assert f"{call.method} {path}`" in text or f"{call.method}` {path}" in text
        models = [call.body, call.query, *call.answers.values()]
        for model in models:
            if model and issubclass(model, RootModel):  # one of several forms
                models += get_args(model.model_fields["root"].annotation)
                continue
            for name, field in model.model_fields.items() if model else ():
                assert f"`{field.alias or name}`" in text or f"{name}=" in text, name

    def test_every_code_with_its_status(self):
        text = (DOCS / "errors.md").read_text()
        for each in error_codes():
            assert f"| {each.status} | `{each.code}` |" in text
        assert set(MEANINGS) == {each.code for each in error_codes()}


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_examples_run(app, acme):
    examples = "\n".join(re.findall(r"```sh\n(.*?)```", (DOCS / "api.md").read_text(), re.DOTALL))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", examples],
            env={
                "PATH": os.environ["PATH"],
                "BASE": f"http://127.0.0.1:{server.server_port}",
                "KEY": mint(acme, "command").token,
                "PLATFORM_KEY": mint(None, "command", ("read", "spend", "manage")).token,
            },
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert balance_of(account_by_name("customer-17"), "credits").balance == 90
    assert balance_of(acme, "credits").balance == 100 + 10 - 7 - 12
