"""The guard with nothing behind it but what says that it was reached."""

from pathlib import Path
from typing import Any

import gradio as gr
import gradio.oauth
import gradio.profiling
import httpx
from gradio.routes import App
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tests.fakes.asynchronous import run_apart
from trainer.settings import Settings
from trainer.ui.guard import Guard
from trainer.ui.hosts import hosts_of
from trainer.ui.sessions import Sessions

LARGEST = 100_000
PREDICT, UPLOAD = "/gradio_api/run/predict", "/gradio_api/upload"
JOIN, CANCEL, ANSWERS = "/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/queue/data"


class Inside:
    """In Gradio's place: notes what reaches it, and reads all of it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached.append(f"{scope['method']} {scope['path']}")
        self.bodies.append(await Request(scope, receive).body())
        await PlainTextResponse("inside")(scope, receive, send)


class House:
    """A guard with nothing but `Inside` behind it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        given = Settings(data_dir=folder / "data", max_audio_bytes=LARGEST, **settings)
        self.folder = folder
        self.inside = Inside()
        with gr.Blocks() as demo:
            pass
        App.create_app(demo)
        hosts = hosts_of(given, lambda: {"my-laptop", "my-laptop.local"})
        self.sessions = Sessions(demo)
        self.guard = Guard(self.inside, given, hosts, folder, self.sessions)

    def ask(self, method: str, path: str, host: str = "localhost:7860", **options: Any) -> httpx.Response:
        """One request, as a program sends it."""

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.guard)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7860") as client:
                headers = {"host": host, **options.pop("headers", {})}
                return await client.request(method, path, headers=headers, **options)

        return run_apart(asked())


def signed_in_space(folder: Path) -> House:
    return House(folder, on_space=True, can_sign_in=True)
