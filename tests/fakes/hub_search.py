"""The fake Hub's search: GET /api/models with the filters, the order and the fields that a client asks for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response


@dataclass
class Listed:
    """A model as the Hub lists it. `parameters` are numbers by type; {} for a repo without safetensors."""

    id: str
    language: str = "de"
    kind: str = "wav2vec2"
    head: str = "Wav2Vec2ForCTC"
    parameters: dict[str, int] = field(default_factory=lambda: {"F32": 1_000_000})
    licence: str = "apache-2.0"
    downloads: int = 10
    gated: bool | str = False
    task: str = "automatic-speech-recognition"

    @property
    def tags(self) -> list[str]:
        safe = ["safetensors"] if self.parameters else []
        return ["transformers", "pytorch", *safe, self.kind, self.task, self.language, f"license:{self.licence}"]

    def entry(self, fields: Sequence[str]) -> dict[str, Any]:
        """With the fields asked for alone, as `expand` does it."""
        told: dict[str, Any] = {
            "config": {"architectures": [self.head], "model_type": self.kind},
            "downloads": self.downloads,
            "gated": self.gated,
            "tags": self.tags,
        }
        if self.parameters:
            told["safetensors"] = {"parameters": self.parameters, "total": sum(self.parameters.values())}
        return {"_id": "0" * 24, "id": self.id, "modelId": self.id, **{f: told[f] for f in fields if f in told}}


def search(listed: Sequence[Listed], request: Request) -> Response:
    """What matches every filter."""
    asked = request.query_params
    wanted = set(asked.getlist("filter"))
    task, gated = asked.get("pipeline_tag"), asked.get("gated")
    found = [
        model
        for model in listed
        if wanted <= set(model.tags)
        and task in (None, model.task)
        and (gated is None or (gated.lower() == "true") == bool(model.gated))
    ]
    if asked.get("sort") == "downloads":
        found.sort(key=lambda model: -model.downloads)
    return JSONResponse([model.entry(asked.getlist("expand")) for model in found[: int(asked.get("limit", 1000))]])
