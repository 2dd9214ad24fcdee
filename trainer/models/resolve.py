"""From the name of a model to its files."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainer.errors import UserError, is_disk_full, is_memory_full
from trainer.hub.cache import release
from trainer.hub.download import fetch_model
from trainer.hub.inspect import FetchLimits, Head, in_cache
from trainer.hub.repo import CONFIG, PICKLE, SAFETENSORS, DownloadProgress
from trainer.hub.safe_json import CONFIG_BYTES, file_in, read_json
from trainer.models.base_ref import BaseRef, Folder, HubId, Starter, no_folder
from trainer.models.model_config import ModelConfig
from trainer.models.model_files import ModelFiles, check_small_files, is_head, read_model
from trainer.models.safetensors_header import Shapes, read_heads, same_heads, shapes_of
from trainer.models.seq2seq_rules import read_rules
from trainer.models.vocabulary import UnusableVocabularyError, read_vocabulary
from trainer.settings import STARTER, STARTER_HEADS, Settings


def is_here(base: BaseRef, settings: Settings) -> bool:
    """Whether it needs no download: it comes along, is a folder, or was fetched before."""
    match base:
        case HubId(repo_id, revision=revision, row=row):
            return in_cache(repo_id, revision, settings.models_dir, shared=not (row and row.pickle))
        case _:
            return True


def find_model(base: BaseRef, settings: Settings, language: str | None = None, whole: bool = False) -> ModelFiles:
    """The files of a base or model, looked at; a Hub id's are fetched. Raises UserError where they will not do.

    The starter comes with its letters of `language` (ISO 639-1) where it has them, and with none without a language.
    `whole`: to hear with, so that a Whisper comes with its decoder.
    """
    match base:
        case HubId():
            return fetch(base, settings, whole=whole)
        case Starter():
            return read_model(starter_of(language) or STARTER, settings.max_load_bytes)
        case _:
            return read_model(folder_of(base, settings), settings.max_load_bytes, whole)


def starter_of(language: str | None) -> Path | None:
    """The folder of the starter's letters of a language; None where it has none."""
    folder = STARTER_HEADS / (language or "")
    return folder if is_head(folder) else None


def folder_of(base: BaseRef, settings: Settings) -> Path:
    """The folder alone, for who looks at its files later, to hear with. Raises UserError where there is none."""
    match base:
        case Starter():
            return STARTER
        case Folder(path):
            if not path.is_dir():
                raise no_folder()
            return path
        case HubId():
            return fetch(base, settings, whole=True).folder


def fetch(
    base: HubId, settings: Settings, on_progress: DownloadProgress | None = None, whole: bool = False
) -> ModelFiles:
    """A model of the Hub, at the table's revision where it is in the table, else at the newest; `whole` as of
    `find_model`. Raises UserError."""
    return fetch_checked(base.id, base.revision, settings, pickle=base.pickle, on_progress=on_progress, whole=whole)


def fetch_checked(
    repo: str,
    revision: str | None,
    settings: Settings,
    *,
    pickle: bool = False,
    on_progress: DownloadProgress | None = None,
    whole: bool = False,
) -> ModelFiles:
    """A model's files: config.json is checked before anything else of it is downloaded, all else before the weights.

    What other programs have in the Hub's own cache is used where it lies. `pickle` allows a repo without safetensors,
    whose weights become safetensors here: for curated bases alone, at a pinned commit. `whole` as of `find_model`.
    Raises UserError.
    """
    from huggingface_hub import constants

    checks = ModelChecks(settings.max_load_bytes, whole)
    folder = fetch_model(
        repo,
        revision=revision,
        allow_pickle=pickle,
        limits=FetchLimits(total_bytes=settings.max_model_bytes, reach_seconds=settings.hub_timeout, decoder=whole),
        checks=checks,
        quota_bytes=settings.max_cache_bytes,
        on_progress=on_progress,
        endpoint=settings.hub_endpoint,
        cache_dir=settings.models_dir,
        shared=None if pickle else Path(constants.HF_HUB_CACHE),  # nothing is written to that one
    )
    try:
        if pickle:
            _unpickle(folder)
        return checks.files_in(folder)
    except BaseException:
        release(folder)
        raise


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
        if is_disk_full(error):
            raise UserError(
                "The disk filled up while a model was being opened.", "Free some space, try again."
            ) from error
        if is_memory_full(error):
            raise UserError("There is not enough memory to open this model.", "Choose a smaller model.") from error
        raise UserError("I cannot read the weights of this model.", "Choose another model.") from error


class ModelChecks:
    """What a repo must be for its weights to be downloaded: the `Checks` of `hub.download`, for one fetch.

    What was found is kept, and goes for the files that arrive as far as they are those that were looked at.
    """

    def __init__(self, most_bytes: int, whole: bool = False) -> None:
        self.most_bytes, self.whole = most_bytes, whole
        self._config: ModelConfig | None = None
        self._heads: Mapping[str, Head] = {}
        self._shapes: Shapes = {}
        self._memory: int | None = None

    def config(self, config: dict[str, Any]) -> None:
        """Raises UserError for a config.json of no known kind or out of bounds."""
        self._config = ModelConfig(config)

    def rest(self, folder: Path, heads: Mapping[str, Head]) -> None:
        """Raises UserError for small files that will not do, for weights that are of another model than config.json
        describes, and for a model too large for the memory."""
        from trainer.models.build import check_builds, compare  # transformers takes seconds; most refusals need it not

        config = self._config_in(folder)
        check_small_files(folder)
        if self.whole and not config.has_letters:
            read_rules(folder, config)
        elif config.has_letters:
            with suppress(UnusableVocabularyError):  # as a base it gets new letters
                read_vocabulary(folder)
        if heads:
            self._heads, self._shapes = heads, shapes_of(heads)
            self._memory = compare(config, self._shapes, self.most_bytes, self.whole)
        else:  # a curated pickle
            check_builds(config, self.most_bytes)

    def files_in(self, folder: Path) -> ModelFiles:
        """What was fetched. Files that are not byte by byte those looked at are looked at now. Raises UserError."""
        config = self._config_in(folder)
        heads = read_heads(folder, self.whole)
        if self._memory is not None and same_heads(heads, self._heads):
            return ModelFiles(folder, config, self._shapes, self.most_bytes, self._memory, whole=self.whole)
        check_small_files(folder)
        return ModelFiles(folder, config, shapes_of(heads), self.most_bytes, whole=self.whole)

    def _config_in(self, folder: Path) -> ModelConfig:
        if self._config is None or read_json(folder, CONFIG, CONFIG_BYTES) != self._config.values:
            self._config, self._memory = ModelConfig.read(folder), None
        return self._config
