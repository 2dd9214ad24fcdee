"""Pressing "Start on a rented GPU", and Stop for such a run.

The token comes with the call. It goes to huggingface_hub and, as the job's secret, to the rented machine; nowhere else.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import UserError
from trainer.hub import errors
from trainer.hub.errors import status_of
from trainer.jobs import bundle
from trainer.jobs.monitor import JobRecord, follow, job_of, write_job_record
from trainer.jobs.pricing import LONGEST_LIMIT, Flavor, list_flavors
from trainer.publishing.publish import Hub, Token, who_signs
from trainer.runs.events import EventLog
from trainer.runs.process import own_identity
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.settings import Settings
from trainer.training.recipe import Recipe

if TYPE_CHECKING:
    from huggingface_hub import HfApi
IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"  # Python and uv, which installs the rest in a minute or two
_UV = ("uv", "run", "--no-project", "--with", "huggingface_hub>=2.4,<3")
_BOOT = Path(__file__).with_name("bootstrap.py")


def available_flavors(token: Token | None, hub: Hub) -> list[Flavor]:
    """What this person can rent. Raises UserError where they are not signed in or the Hub does not say."""
    who_signs(token, hub)
    with _refusing(hub):
        return list_flavors(_api(token, hub))


def rent(
    settings: Settings, recipe: Recipe, owner: str, flavor: Flavor, limit_minutes: int, token: Token | None, hub: Hub
) -> Run:
    """Start a run on a rented machine and follow it. After `limit_minutes` the Hub stops it, whatever it does.

    Raises UserError, and leaves nothing behind here, where it cannot be started.
    """
    bundle.check_travels(recipe)
    if not 1 <= limit_minutes <= LONGEST_LIMIT:
        raise UserError(
            f"A limit of {limit_minutes} minutes will not do.", f"Choose one from 1 to {LONGEST_LIMIT} minutes."
        )
    account = who_signs(token, hub)
    run = create_run(new_run_folder(settings.runs_dir, recipe.locale), recipe, owner)
    try:
        with _refusing(hub):
            record = _start_job(_api(token, hub), account, run, flavor, limit_minutes)
        _record_or_cancel(run, record, token, hub)
    except BaseException:
        shutil.rmtree(run.folder)
        raise
    log = EventLog(run.events)
    log.append("queued", **own_identity())
    log.append("note", text=f"It runs on {flavor.title}, for {limit_minutes} minutes at most.")
    log.close()
    follow(run, token, hub)
    return run


def _record_or_cancel(run: Run, record: JobRecord, token: Token | None, hub: Hub) -> None:
    """A job that is not on record could never be stopped from here, and would cost money until its limit."""
    try:
        write_job_record(run, record)
    except OSError:
        with _refusing(hub):
            _api(token, hub).cancel_job(job_id=record.job_id, namespace=record.account)
        raise UserError(
            "The disk here is full, so the rented machine was given back.", "Make some room, then start again."
        ) from None


def stop_job(run: Run, token: Token | None, hub: Hub) -> None:
    """Cancel the job. Whoever follows it fetches the best model so far and writes the end. Raises UserError."""
    record = job_of(run)
    if record is None:
        return
    who_signs(token, hub)
    with _refusing(hub):
        _api(token, hub).cancel_job(job_id=record.job_id, namespace=record.account)
    run.ask_to_stop()
    follow(run, token, hub)


def _api(token: Token | None, hub: Hub) -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(endpoint=hub.endpoint, token=token)


def _start_job(api: "HfApi", account: str, run: Run, flavor: Flavor, limit_minutes: int) -> JobRecord:
    from huggingface_hub import get_token

    repo_id = f"{account}/voicetune-{run.id}"
    api.create_repo(repo_id, private=True)
    api.upload_file(path_or_fileobj=bundle.pack(run), path_in_repo=bundle.NAME, repo_id=repo_id)
    # The rented machine signs as this person too, to send the model. On a laptop that is the login of this computer.
    secret = api.token if isinstance(api.token, str) else get_token()
    boot = _BOOT.read_text(encoding="utf-8")
    # Not run_uv_job: it carries files into a bucket of the account (jobs-artifacts), which the rights asked for here
    # (contribute-repos) may not cover, flat, each under its last name, where this is a package with its data, and it
    # leaves them there. Given a command instead of files it only puts "uv run --with" before it, takes any argument
    # that is a file here for one to upload, and fails on one as long as `boot` (OSError, name too long).
    job = api.run_job(
        image=IMAGE,
        command=[*_UV, "python", "-c", boot, repo_id, bundle.NAME],
        secrets={"HF_TOKEN": secret},
        flavor=flavor.name,
        timeout=limit_minutes * 60,
        labels={"voicetune": run.id},
        namespace=account,
    )
    return JobRecord(job.id, account, repo_id, flavor.name, flavor.usd_an_hour, limit_minutes, job.url)


@contextmanager
def _refusing(hub: Hub) -> Iterator[None]:
    """Whatever huggingface_hub raises inside becomes a UserError, without its words: they may hold what was sent."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        told = errors.write_error(error, "the job", hub.on_space)
        if status_of(error) == 402:
            told = UserError(
                "Your Hugging Face account has no credit for rented machines.",
                "Add some under Settings, Billing on the Hub, then try again.",
            )
        elif status_of(error) == 403:
            told = UserError("This sign-in may not rent machines.", "Sign in again and allow jobs, then try again.")
        raise told from None
