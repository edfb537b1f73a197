"""An empty Flask route under the appliance's own server: what a request costs before anything is done.

python -m tests.benchmarks.empty_route DATA PORT [one-core] [gthread]

With gthread it is served by gunicorn's own worker of that name, which most Flask applications run under.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from flask import Flask

from appliance.config import Settings
from appliance.server import Server, keep_to_one_core


class Empty(Server):
    """Serves one route that does nothing."""

    def load_config(self) -> None:
        super().load_config()
        if "gthread" in sys.argv:
            self.cfg.set("worker_class", "gthread")
            self.cfg.set("threads", self.limits.threads)
            self.cfg.set("keepalive", 20)

    def load(self) -> Any:
        if "one-core" in sys.argv:
            keep_to_one_core()
        app = Flask(__name__)
        app.add_url_rule("/", view_func=lambda: "ok", methods=["GET", "POST"])
        return app

    def _ready(self, worker: Any) -> None:
        del worker
        print("ready", flush=True)


if __name__ == "__main__":
    Empty(Settings.load(data=Path(sys.argv[1]), http_port=int(sys.argv[2]), http_host="127.0.0.1")).run()
