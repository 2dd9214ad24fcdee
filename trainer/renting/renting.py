"""Pressing "Start on a rented GPU", and Stop for such a run.

The token comes with the call. It goes to huggingface_hub and, as the job's secret, to the rented machine; nowhere else.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import UserError
from trainer.hub.refusals import status_of
from trainer.publishing import refusals
from trainer.publishing.publish import Hub, Token, who_signs
from trainer.renting import parcel
from trainer.renting.following import follow
from trainer.renting.hardware import LONGEST_LIMIT, Machine, machines
from trainer.renting.ledger import Rented, note_down, rented_of
from trainer.runs.events import EventLog
from trainer.runs.identity import own_identity
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.settings import Settings
from trainer.training.recipe import Recipe

if TYPE_CHECKING:
    from huggingface_hub import HfApi

IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"  # Python and uv, which installs the rest in a minute or two
_UV = ("uv", "run", "--no-project", "--with", "huggingface_hub>=2.4,<3")
_BOOT = Path(__file__).with_name("boot.py")


def machines_for(token: Token | None, hub: Hub) -> list[Machine]:
    """What this person can rent. Raises UserError where they are not signed in or the Hub does not say."""
    who_signs(token, hub)
    with _refusing(hub):
        return machines(_api(token, hub))


def rent(
    settings: Settings, recipe: Recipe, owner: str, machine: Machine, limit_minutes: int, token: Token | None, hub: Hub
) -> Run:
    """Start a run on a rented machine and follow it. After `limit_minutes` the Hub stops it, whatever it does.

    Raises UserError, and leaves nothing behind here, where it cannot be started.
    """
    parcel.check_travels(recipe)
    if not 1 <= limit_minutes <= LONGEST_LIMIT:
        raise UserError(
            f"A limit of {limit_minutes} minutes will not do.", f"Choose one from 1 to {LONGEST_LIMIT} minutes."
        )
    account = who_signs(token, hub)
    run = create_run(new_run_folder(settings.runs_dir, recipe.locale), recipe, owner)
    try:
        with _refusing(hub):
            rented = _start_job(_api(token, hub), account, run, machine, limit_minutes)
        _note_or_cancel(run, rented, token, hub)
    except BaseException:
        shutil.rmtree(run.folder)
        raise
    log = EventLog(run.events)
    log.append("queued", **own_identity())
    log.append("note", text=f"It runs on {machine.title}, for {limit_minutes} minutes at most.")
    log.close()
    follow(run, token, hub)
    return run


def _note_or_cancel(run: Run, rented: Rented, token: Token | None, hub: Hub) -> None:
    """A job that cannot be noted down could never be stopped from here, and would cost money until its limit."""
    try:
        note_down(run, rented)
    except OSError:
        with _refusing(hub):
            _api(token, hub).cancel_job(job_id=rented.job_id, namespace=rented.account)
        raise UserError(
            "The disk here is full, so the rented machine was given back.", "Make some room, then start again."
        ) from None


def stop_rented(run: Run, token: Token | None, hub: Hub) -> None:
    """Cancel the job. Whoever follows it fetches the best model so far and writes the end. Raises UserError."""
    rented = rented_of(run)
    if rented is None:
        return
    who_signs(token, hub)
    with _refusing(hub):
        _api(token, hub).cancel_job(job_id=rented.job_id, namespace=rented.account)
    run.ask_to_stop()
    follow(run, token, hub)


def _api(token: Token | None, hub: Hub) -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(endpoint=hub.endpoint, token=token)


def _start_job(api: "HfApi", account: str, run: Run, machine: Machine, limit_minutes: int) -> Rented:
    from huggingface_hub import get_token

    repo_id = f"{account}/voicetune-{run.id}"
    api.create_repo(repo_id, private=True)
    api.upload_file(path_or_fileobj=parcel.pack(run), path_in_repo=parcel.NAME, repo_id=repo_id)
    # The rented machine signs as this person too, to send the model. On a laptop that is the login of this computer.
    secret = api.token if isinstance(api.token, str) else get_token()
    boot = _BOOT.read_text(encoding="utf-8")
    job = api.run_job(
        image=IMAGE,
        command=[*_UV, "python", "-c", boot, repo_id, parcel.NAME],
        secrets={"HF_TOKEN": secret},
        flavor=machine.name,
        timeout=limit_minutes * 60,
        labels={"voicetune": run.id},
        namespace=account,
    )
    return Rented(job.id, account, repo_id, machine.name, machine.usd_an_hour, limit_minutes, job.url)


@contextmanager
def _refusing(hub: Hub) -> Iterator[None]:
    """Whatever huggingface_hub raises inside becomes a UserError, without its words: they may hold what was sent."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        status = status_of(error)
        if status == 402:
            raise UserError(
                "Your Hugging Face account has no credit for rented machines.",
                "Add some under Settings, Billing on the Hub, then try again.",
            ) from None
        if status == 403:
            raise UserError(
                "This sign-in may not rent machines.", "Sign in again and allow jobs, then try again."
            ) from None
        raise refusals.explain(error, "the job", hub.on_space) from None
