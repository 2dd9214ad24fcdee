"""The one way from a repo on the Hub to a folder that may be opened: within limits, checked, without a token."""

from pathlib import Path

from trainer.errors import UserError
from trainer.hub.fetch import fetch_model
from trainer.hub.inspect import FetchLimits
from trainer.hub.quota import release
from trainer.hub.reading import file_in
from trainer.hub.source import PICKLE, SAFETENSORS, Progress
from trainer.models.checking import ModelChecks, check_folder
from trainer.models.weights import check_weights
from trainer.settings import Settings


def fetch_checked(
    repo: str,
    revision: str | None = None,
    *,
    pickle: bool = False,
    settings: Settings | None = None,
    on_progress: Progress | None = None,
) -> Path:
    """A model's folder: config.json is checked before anything else of it is downloaded, the other files after.

    What other programs have in the Hub's own cache is used where it lies. `pickle` allows a repo without safetensors,
    whose weights become safetensors here: for curated bases alone, at a pinned commit. Raises UserError.
    """
    from huggingface_hub import constants

    settings = settings or Settings.from_env()
    folder = fetch_model(
        repo,
        revision=revision,
        allow_pickle=pickle,
        limits=FetchLimits(total_bytes=settings.max_model_bytes, reach_seconds=settings.hub_timeout),
        checks=ModelChecks(),
        quota_bytes=settings.max_cache_bytes,
        on_progress=on_progress,
        endpoint=settings.hub_endpoint,
        cache_dir=settings.models_dir,
        shared=None if pickle else Path(constants.HF_HUB_CACHE),  # nothing is written to that one
    )
    try:
        check_folder(folder)
        if pickle:
            _unpickle(folder)
        check_weights(folder)
    except BaseException:
        release(folder)
        raise
    return folder


def _unpickle(folder: Path) -> None:
    """Write a pickle's tensors as safetensors beside it. Only tensors are read: anything else in it is an error."""
    source = file_in(folder, PICKLE)
    if source is None or file_in(folder, SAFETENSORS):
        return
    import torch
    from safetensors.torch import save_file

    draft = folder / f"{SAFETENSORS}.part"
    try:
        tensors = torch.load(source, map_location="cpu", weights_only=True)
        save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, draft)
        draft.replace(folder / SAFETENSORS)
    except Exception as error:  # whatever a broken or hostile pickle makes of it
        draft.unlink(missing_ok=True)
        raise UserError("I cannot read the weights of this model.", "Choose another model.") from error
