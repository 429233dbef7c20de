"""The client's check of a delivery, against what Coffer signs; and the example for Node in the docs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from coffer_client import BadSignature, verify_webhook

from services.events.signing import new_secret, signed_headers

ROOT = Path(__file__).resolve().parents[2]
NOW, BODY = 1_790_000_000, b'{"id":"evt_1","type":"credits.low","data":{"name":"\xc3\xbc"}}'
CHECK = """
const headers = JSON.parse(process.argv[2]);
Date.now = () => %d * 1000;
console.log(verify(process.argv[3], headers, Buffer.from(process.argv[4], "base64")).id);
"""


def signed(secret: str, *older: str) -> dict[str, str]:
    return signed_headers((secret, *older), "evt_1", NOW, BODY)


def test_a_delivery_of_coffers() -> None:
    secret, older = new_secret(), new_secret()
    capitals = {name.title(): value for name, value in signed(secret, older).items()}
    for known in (secret, older):
        assert verify_webhook(known, capitals, BODY, now=NOW + 299)["data"] == {"name": "ü"}


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", "evt_2"), ("webhook-timestamp", str(NOW + 1)), ("webhook-timestamp", "²"),
        ("webhook-timestamp", "soon"), ("webhook-signature", ""), ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", "v1,ü v1 ,"), ("webhook-signature", "v2,{right}"),
    ],
)  # fmt: skip
def test_another_is_refused(header: str, value: str) -> None:
    secret = new_secret()
    headers = signed(secret)
    headers[header] = value.format(right=headers["webhook-signature"][3:])
    with pytest.raises(BadSignature):
        verify_webhook(secret, headers, BODY, now=NOW)


def test_old_ones_other_bodies_and_other_secrets_are_refused() -> None:
    secret = new_secret()
    for known, body, now in ((secret, BODY, NOW + 301), (secret, BODY, NOW - 301), (secret, b" " + BODY, NOW),
                             (new_secret(), BODY, NOW)):  # fmt: skip
        with pytest.raises(BadSignature):
            verify_webhook(known, signed(secret), body, now=now)
    with pytest.raises(BadSignature):
        verify_webhook(secret, {}, BODY, now=NOW)
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook("whsec_!", signed(secret), BODY, now=NOW)


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_the_example_for_node(tmp_path: Path) -> None:
    import base64
    import json

    text = (ROOT / "docs" / "webhooks.md").read_text()
    example = re.search(r"```js\n(.*?)```", text, re.DOTALL)
    assert example
    script = tmp_path / "verify.mjs"
    script.write_text(example.group(1) + CHECK % NOW)
    secret = new_secret()

    def run(headers: dict[str, str]) -> subprocess.CompletedProcess[str]:
        arguments = [json.dumps(headers), secret, base64.b64encode(BODY).decode()]
        return subprocess.run(["node", str(script), *arguments], capture_output=True, text=True, timeout=30)

    assert run(signed(secret, new_secret())).stdout.strip() == "evt_1"
    assert "not signed by Coffer" in run(signed(new_secret())).stderr
