"""The floors over HTTP, under the server and options that Coffer itself runs with.

    python -m bench.floors PORT FOLDER

An empty POST and an empty GET view, and a view that makes the bare deduct, all of plain Flask.
"""

import sys
import threading
from pathlib import Path

from flask import Flask, request

from bench.bare import BareLedger
from config import Settings


def floor_app(folder: Path) -> Flask:
    """Plain Flask with the three views."""
    app = Flask("floors")
    mine = threading.local()
    writers = threading.Lock()

    @app.post("/empty")
    def empty_post() -> dict:
        return {"success": True, "amount": request.get_json()["amount"]}

    @app.get("/empty")
    def empty_get() -> dict:
        return {"balance": 1}

    @app.post("/deduct")
    def deduct() -> tuple[str, int, dict[str, str]]:
        if not hasattr(mine, "ledger"):
            mine.ledger = BareLedger(folder / "bare.sqlite")
        with writers:
            answer = mine.ledger.deduct(request.get_json()["amount"], request.headers["Idempotency-Key"])
        return answer, 200, {"Content-Type": "application/json"}

    return app


def main() -> None:
    """Serve until told to stop."""
    from server import _serve

    folder = Path(sys.argv[2])
    BareLedger(folder / "bare.sqlite").close()
    settings = Settings(_env_file=None, port=int(sys.argv[1]), secret_key="s" * 64, ledger_key="l" * 64)
    _serve(floor_app(folder), settings)


if __name__ == "__main__":
    main()
