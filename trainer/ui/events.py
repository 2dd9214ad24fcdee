"""How an event of the page reaches its handler: with which options, and with dataclasses instead of a list of values.

Invariant: every event states what becomes of it while the same one is pending. Gradio's default drops it.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, Literal

import gradio as gr

from trainer.settings import Settings
from trainer.ui.components import toasted
from trainer.ui.panel_state import Visit, Watch
from trainer.ui.publish_panel import signed
from trainer.ui.recipe_form import Form
from trainer.ui.visitors import OpenPage, Visitor

# What becomes of an event while the same one is pending:
Mode = Literal["once", "always_last", "multiple"]
ONCE: Mode = "once"  # nothing: a second press of a button means the same as the first, and a tick comes again
LAST: Mode = "always_last"  # the last one is sent when the first is answered: what was chosen or typed last counts
EACH: Mode = "multiple"  # each is sent at once, and their handler sorts out what belongs to what

LOOKS_AT_ONCE = 4  # downloads for previews and questions to the Hub, of all visitors together
# Small answers at once: not through the queue and without an overlay. Nothing is offered as an API.
_AT_ONCE: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
_QUEUED: dict[str, Any] = {
    "concurrency_limit": LOOKS_AT_ONCE,
    "show_progress": "hidden",
    "api_visibility": "private",
}
# From the pairs of `filling`, which are used once, and what the fields hold now to what they shall hold.
_FILL = """(pairs, ...now) => [
  null, ...now.map((value, i) => (pairs && (value ?? null) === pairs[i][0] ? pairs[i][1] : value))
]"""
SIGNER = "signer"
_AS_THEY_ARE = (inspect.isgeneratorfunction, inspect.isasyncgenfunction, inspect.iscoroutinefunction)
Triggers = Callable[..., Any] | Sequence[Callable[..., Any]]


@dataclass(frozen=True)
class Wiring:
    """Connects the events of one page with handlers.

    A handler's parameters are filled in their order from the inputs: a `Form` from as many as it has fields, a `Visit`
    from as many (the id of its run in the visitor's stead), any other from one. From no input are those annotated as
    `Visitor` or `OpenPage`, which come with the request, and one named `signer`, who signs: see `publish_panel.signed`.
    Errors appear
    in the corner of the page, but for those of generators and coroutines: these have a place of their own for them, and
    are called by Gradio as they are, with the request where they name one.
    """

    settings: Settings
    demo: gr.Blocks

    def at_once(self, triggers: Triggers, mode: Mode, handler: Any, inputs: Any, outputs: Any, **but: Any) -> Any:
        """For what is answered within milliseconds, or waits without work. `but` as of `queued`."""
        return self._connect(triggers, handler, inputs, outputs, {**_AT_ONCE, "trigger_mode": mode, **but})

    def queued(self, triggers: Triggers, mode: Mode, handler: Any, inputs: Any, outputs: Any, **but: Any) -> Any:
        """For what may take seconds. `but`: options of Gradio's that are others here."""
        return self._connect(triggers, handler, inputs, outputs, {**_QUEUED, "trigger_mode": mode, **but})

    def filling(self, triggers: Triggers, mode: Mode, handler: Any, sent: Any, outputs: list[Any], into: Any) -> Any:
        """For what fills fields that a person may change until the answer comes: then they stay as that person has
        them.

        The handler answers with what is for `outputs`, then with a pair for each of `into`: what it held when asked,
        and what it shall hold.
        """
        pairs = gr.JSON(visible="hidden")
        answered = self.at_once(triggers, mode, handler, sent, [*outputs, pairs])
        filled = [pairs, *into]
        return answered.then(None, filled, filled, js=_FILL, trigger_mode=EACH, show_progress="hidden")

    def script(self, trigger: Callable[..., Any], js: str, outputs: Any = None, inputs: Any = None) -> Any:
        """For what the browser does by itself."""
        return trigger(None, inputs, outputs, js=js, trigger_mode=EACH, show_progress="hidden")

    def _connect(self, triggers: Triggers, handler: Any, inputs: Any, outputs: Any, options: dict[str, Any]) -> Any:
        connect = triggers if callable(triggers) else functools.partial(gr.on, list(triggers))
        return connect(self.adapted(handler), inputs, outputs, **options)

    def adapted(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """The handler as Gradio calls it, under its own name, by which its endpoint is known."""
        if any(kind(handler) for kind in _AS_THEY_ARE):
            return handler
        parameters = list(inspect.signature(handler).parameters.values())
        wants_signer = any(parameter.name == SIGNER for parameter in parameters)

        def unpacked(request: gr.Request, *sent: Any) -> Any:
            values = iter(sent)
            signer = next(values) if wants_signer else None
            visitor, page = Visitor.asking(request, self.settings), OpenPage.asking(request, self.settings)
            return handler(*_filled(parameters, values, (visitor, page), signer))

        unpacked.__name__ = handler.__name__
        return toasted(signed(self.settings, unpacked) if wants_signer else unpacked)


def turning(handler: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """The handler with one output more in front: the id of the run that the page looks at from now on.

    Only what turns a page to a run has this output. Answers overlap, a tick's with any other: were the id a part of
    what each of them writes, one that was asked before and comes after would turn the page back.
    """

    @functools.wraps(handler)
    def turned(*sent: Any) -> list[Any]:
        answer = handler(*sent)
        watch = next((part for part in answer if isinstance(part, Watch)), None)
        return [watch.run if watch else gr.skip(), *answer]

    return turned


def _filled(
    parameters: list[inspect.Parameter], values: Iterator[Any], asking: tuple[Visitor, OpenPage], signer: Any
) -> Iterator[Any]:
    """What to call a handler with. Parameters for which nothing was sent keep their defaults."""
    visitor, page = asking
    for parameter in parameters:
        kind = parameter.annotation
        if parameter.name == SIGNER:
            yield signer
        elif kind is Visit:
            run_id, watch, *rest = islice(values, len(fields(Visit)))
            yield Visit(visitor, watch.of(run_id), *rest)
        elif kind is Form:
            yield Form(*islice(values, len(fields(Form))))
        elif kind is Visitor:
            yield visitor
        elif kind is OpenPage:
            yield page
        else:
            yield from islice(values, None if parameter.kind is parameter.VAR_POSITIONAL else 1)
