"""Calls to the app as any program may send them: no browser, no client library, every endpoint by its number."""

import json
from typing import Any

import httpx

from trainer.ui.visitors import COOKIE

PATIENCE = 120.0  # loading torch on a busy machine


class RawClient:
    """One visitor's connection. `session` is what Gradio keeps a page's state under; `secret` is the cookie's."""

    def __init__(self, url: str, session: str, secret: str | None = None) -> None:
        self._http = httpx.Client(base_url=url, timeout=PATIENCE)
        self.session = session
        self.be(secret)

    def be(self, secret: str | None, session: str | None = None) -> None:
        """From now on the visitor with this secret, on another page or the same; None: one that keeps no cookie."""
        self.session = session or self.session
        self._http.headers["cookie"] = "" if secret is None else f"{COOKIE}={secret}"

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """All that has code behind it, private ones too, by name."""
        listed = self._http.get("config").json()["dependencies"]
        return {str(entry["api_name"]): entry for entry in listed if entry["backend_fn"]}

    def call(self, endpoint: dict[str, Any], data: list[Any]) -> str:
        """The whole answer as text, errors included."""
        body = {"data": data, "fn_index": endpoint["id"], "session_hash": self.session}
        if not endpoint["queue"]:
            return self._http.post("gradio_api/run/predict", json=body).text
        joined = self._http.post("gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            return joined.text
        return self._until_done()

    def _until_done(self) -> str:
        said = []
        with self._http.stream("GET", "gradio_api/queue/data", params={"session_hash": self.session}) as lines:
            for line in lines.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                said.append(json.dumps(message, ensure_ascii=False))
                if message["msg"] in ("process_completed", "close_stream", "unexpected_error"):
                    break
        return "\n".join(said)

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """What a component is sent of an uploaded file."""
        path = self._http.post("gradio_api/upload", files={"files": (name, content)}).json()[0]
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def get(self, path: str) -> httpx.Response:
        """Any address of the app."""
        return self._http.get(path)

    def post(self, path: str) -> httpx.Response:
        """Likewise, with an empty JSON body."""
        return self._http.post(path, json={})

    def close(self) -> None:
        """Hang up."""
        self._http.close()
