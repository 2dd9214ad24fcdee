"""Jobs on the localhost Hub, for the real huggingface_hub client: each really runs its command, in a process here.

What a container would have is played: an empty folder to start in, the job's secrets and environment, and `uv`, which
here starts this interpreter instead of installing anything. A cancelled or overdue job is killed, as a container is.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.fakes.hub import Route, _refuse
from tests.fakes.hub_writes import Call, WritableHub

_JOBS = r"/api/jobs/(?P<who>[^/]+)"

# uv run [options] python … becomes this interpreter, with the packages that it has.
_UV = """#!/bin/sh
shift
while [ "$1" != python ]; do shift; done
shift
exec "{python}" "$@"
"""


def _machine(name: str, title: str, micro_usd: int, model: str = "", count: int = 1) -> dict[str, Any]:
    gpu = {"type": "gpu", "model": model, "quantity": str(count), "vram": "16 GB", "manufacturer": "Nvidia"}
    return {
        "name": name, "prettyName": title, "cpu": "4 vCPU", "ram": "15 GB", "ephemeralStorage": "50 GB",
        "accelerator": gpu if model else None, "unitCostMicroUSD": micro_usd, "unitCostUSD": micro_usd / 1e6,
        "unitLabel": "minute",
    }  # fmt: skip


MACHINES = [
    _machine("cpu-basic", "CPU Basic", 167),
    _machine("a10g-small", "Nvidia A10G - small", 16667, "A10G"),
    _machine("t4-small", "Nvidia T4 - small", 6667, "T4"),
    _machine("a100x4", "4x Nvidia A100", 166667, "A100", 4),
]


@dataclass
class Job:
    """One job: what was asked for, what it printed, and how it stands."""

    id: str
    who: str
    spec: dict[str, Any]
    stage: str = "RUNNING"
    lines: list[tuple[str, str]] = field(default_factory=list)  # time and text
    process: "subprocess.Popen[str] | None" = None

    def info(self) -> dict[str, Any]:
        """As the API tells it. Of secrets the names alone."""
        return {
            "id": self.id, "createdAt": "2026-11-25T12:00:00.000Z", "dockerImage": self.spec.get("dockerImage"),
            "command": self.spec["command"], "arguments": [], "environment": self.spec.get("environment"),
            "secrets": dict.fromkeys(self.spec.get("secrets", {}), ""), "flavor": self.spec["flavor"],
            "labels": self.spec.get("labels"), "status": {"stage": self.stage, "message": None},
            "owner": {"id": "1", "name": self.who, "type": "user"},
        }  # fmt: skip

    def end(self, stage: str) -> None:
        """Kill all of it, the trainer included, which has a session of its own."""
        if self.stage != "RUNNING" or self.process is None:
            return
        self.stage = stage
        try:
            family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue


class JobsHub(WritableHub):
    """A `WritableHub` with Jobs. `minute` is how many seconds a minute of a job's limit takes here."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.minute = 60.0
        self.logs_cut_after: int | None = None  # lines after which the next stream of a log breaks off, once
        self._folder = tempfile.TemporaryDirectory(prefix="voicetune-jobs-")
        super().__init__()

    def stop(self) -> None:
        for job in self.jobs.values():
            job.end("DELETED")
            if job.process:
                job.process.wait(20)
        super().stop()
        self._folder.cleanup()

    def writing_routes(self) -> list[Route]:
        get, post = ("GET",), ("POST",)
        return [
            Route(get, re.compile("/api/jobs/hardware"), lambda call, match: JSONResponse(MACHINES)),
            Route(post, re.compile(_JOBS), self._begin),
            Route(get, re.compile(f"{_JOBS}/(?P<id>[^/]+)"), self._inspect),
            Route(get, re.compile(f"{_JOBS}/(?P<id>[^/]+)/logs"), self._logs),
            Route(post, re.compile(f"{_JOBS}/(?P<id>[^/]+)/cancel"), self._cancel),
            *super().writing_routes(),
        ]

    def _whose(self, call: Call, match: re.Match[str]) -> Response | None:
        """Why a person may not have this, if so."""
        if self.people.get(call.token) is None:
            return _refuse(401)
        return _refuse(403) if self.people[call.token] != match["who"] else None

    def _begin(self, call: Call, match: re.Match[str]) -> Response:
        return self._whose(call, match) or JSONResponse(self._start(match["who"], json.loads(call.body)).info())

    def _job(self, call: Call, match: re.Match[str]) -> Job | Response:
        return self._whose(call, match) or self.jobs.get(match["id"]) or _refuse(404)

    def _inspect(self, call: Call, match: re.Match[str]) -> Response:
        job = self._job(call, match)
        return job if isinstance(job, Response) else JSONResponse(job.info())

    def _logs(self, call: Call, match: re.Match[str]) -> Response:
        job = self._job(call, match)
        return (
            job
            if isinstance(job, Response)
            else StreamingResponse(self._stream_log(job), media_type="text/event-stream")
        )

    def _cancel(self, call: Call, match: re.Match[str]) -> Response:
        job = self._job(call, match)
        if isinstance(job, Response):
            return job
        job.end("CANCELED")
        return JSONResponse(job.info())

    def _start(self, who: str, spec: dict[str, Any]) -> Job:
        job = Job(f"job{len(self.jobs)}", who, spec)
        folder = Path(self._folder.name) / job.id
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "uv").write_text(_UV.format(python=sys.executable))
        (folder / "bin" / "uv").chmod(0o755)
        env = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **spec.get("environment", {}),
            **spec.get("secrets", {}),
        }
        job.process = subprocess.Popen(
            spec["command"], cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.jobs[job.id] = job
        threading.Thread(target=_listen, args=(job,), daemon=True).start()
        if seconds := spec.get("timeoutSeconds"):
            timer = threading.Timer(seconds / 60 * self.minute, job.end, ("ERROR",))
            timer.daemon = True
            timer.start()
        return job

    async def _stream_log(self, job: Job) -> AsyncIterator[bytes]:
        """What it has printed, then what it prints, until it ends; a comment now and then keeps the line open."""
        sent, since = 0, time.monotonic()
        while True:
            ended = job.stage != "RUNNING"
            for stamp, text in job.lines[sent:]:
                if self.logs_cut_after is not None and sent >= self.logs_cut_after:
                    self.logs_cut_after = None
                    raise ConnectionAbortedError("as the test asked")
                yield f"data: {json.dumps({'timestamp': stamp, 'data': text})}\n\n".encode()
                sent += 1
            if ended or self._stopping.is_set():
                return
            if time.monotonic() - since > 10:
                since = time.monotonic()
                yield b": keep-alive\n\n"
            await asyncio.sleep(0.05)


def _listen(job: Job) -> None:
    assert job.process is not None and job.process.stdout is not None
    for line in job.process.stdout:
        job.lines.append((datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), line.rstrip()))
    code = job.process.wait()
    if job.stage == "RUNNING":
        job.stage = "COMPLETED" if code == 0 else "ERROR"
