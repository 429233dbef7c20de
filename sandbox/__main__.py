"""Run the sandbox by itself: ``python -m sandbox --port 12111 --webhook-url …``."""

import argparse
import threading

from sandbox.server import SandboxServer


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--path", default=":memory:", help="SQLite file of its state")
    parser.add_argument("--key", default="sk_test_sandbox", help="the API key it accepts")
    parser.add_argument("--webhook-url", help="where events are delivered")
    parser.add_argument("--webhook-secret", default="whsec_sandbox")
    parser.add_argument("--public-base-url", default="", help="the origin under which browsers see /sandbox/")
    parser.add_argument("--seller", default="Demo shop", help="whose name the pages show")
    given = parser.parse_args()
    server = SandboxServer(
        given.path, given.key, port=given.port, webhook_url=given.webhook_url,
        webhook_secret=given.webhook_secret, public_base_url=given.public_base_url, seller=given.seller,
    )  # fmt: skip
    server.start()
    print(f"The sandbox speaks Stripe's API at {server.base_url} with the key {given.key}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
