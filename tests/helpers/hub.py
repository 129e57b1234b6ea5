"""A server on this machine that takes the part of the Hugging Face Hub."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StandIn:
    """The few answers of the Hub that a commit needs; what was asked of it is kept."""

    def __init__(self, repository: str, refuses: bool = False) -> None:
        self.repository = repository
        self.asked: list[str] = []
        self.made: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                hub.asked.append(self.path)
                answer = {} if refuses else hub.answer(self.path, body)
                content = json.dumps(answer).encode()
                self.send_response(403 if refuses else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        if path == "/api/repos/create":
            self.made = json.loads(body)
            return {"url": f"{self.address}/{self.repository}", "name": self.repository}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if path.startswith(f"/api/models/{self.repository}/preupload/"):
            files = [file["path"] for file in json.loads(body)["files"]]
            return {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in files]}
        assert path.startswith(f"/api/models/{self.repository}/commit/")
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        oid = "0" * 40
        return {"success": True, "commitUrl": f"{self.address}/{self.repository}/commit/{oid}", "commitOid": oid}

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to ask it; the library reads the Hub's address when it is imported."""
        return {"HF_ENDPOINT": self.address, "HF_TOKEN": "hf_of_a_test", "HF_HUB_DISABLE_TELEMETRY": "1"}

    def close(self) -> None:
        """No longer answer."""
        self.server.shutdown()
        self.server.server_close()
