"""What can be known of a training before it is one, so that what cannot start leaves no failed run behind."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError

from trainer.hub.connectivity import reachable
from trainer.models.base_ref import HubId
from trainer.models.model_config import ModelConfig
from trainer.models.resolve import find_model
from trainer.settings import Settings
from trainer.speech.locales import locale_of
from trainer.speech.mixing import Selection, open_and_split
from trainer.speech.sources import kind_of
from trainer.training.estimate import check_memory
from trainer.training.recipe import Recipe, check_base

SECONDS_TO_LOOK = 2.0  # as long as a press of a button may take
_lookers = ThreadPoolExecutor(2, thread_name_prefix="preflight")  # a large table is read on after that


def check_inputs(recipe: Recipe, settings: Settings) -> None:
    """Look at the base, the data and the memory as far as that takes no download. Raises UserError."""
    _check_base_and_data(recipe, settings)
    check_memory(recipe, settings)


def check_inputs_soon(recipe: Recipe, settings: Settings) -> None:
    """The same but for the memory, within SECONDS_TO_LOOK: what takes longer is left for the trainer to find.

    Raises UserError.
    """
    look = _lookers.submit(_check_base_and_data, recipe, settings)
    try:
        look.result(SECONDS_TO_LOOK)
    except NotYetError:
        look.cancel()  # where it has not begun: nobody will ask for its answer


def _check_base_and_data(recipe: Recipe, settings: Settings) -> None:
    base = recipe.base_ref
    if not isinstance(base, HubId):
        check_base(recipe, find_model(base, settings).config)
    elif base.row is not None:
        check_base(recipe, ModelConfig(dict(base.row.config)))
    if _to_download(recipe.data, settings):
        return
    also = "" if recipe.also and _to_download(recipe.also, settings) else recipe.also
    selection = Selection(recipe.clips, recipe.clip_order, recipe.seed)
    _, splitting = open_and_split(recipe.data, also, locale_of(recipe.locale), settings, selection)
    splitting.check_trainable()


def _to_download(data: str, settings: Settings) -> bool:
    return kind_of(data, settings) == "minds14" and reachable(settings.hub_endpoint, settings.hub_timeout)
