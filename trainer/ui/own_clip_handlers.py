"""What becomes of one's own clips: a function for each event of their panel, and what it says in words."""

import time
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.formatting import sound_length
from trainer.runs.storage import DAYS_KEPT, check_room_for_clip
from trainer.settings import Settings
from trainer.speech.locales import Locale
from trainer.speech.own_clips import (
    TARGET_SECONDS,
    TARGET_SENTENCES,
    OwnClip,
    OwnClips,
    own_clips,
    splits_of,
    still_wanted,
)
from trainer.speech.reading_list import next_sentence
from trainer.ui.components import explain, note, play_button, sounds
from trainer.ui.data_preview import download_folder
from trainer.ui.recordings import Recordings
from trainer.ui.visitors import Visitor

LISTED = 200  # clips, the newest; all are in the download
_SPLIT_WORDS = {"train": "", "validation": " · chooses the model", "test": " · for the test"}


@dataclass(frozen=True)
class OwnClipHandlers:
    """Answers for all visitors; holds nothing but the settings and the uploads."""

    settings: Settings
    recordings: Recordings

    def open_own_voice(self, visitor: Visitor, locale: str) -> list[Any]:
        """The fold was opened, or the language is another: the first sentence, how far one is, and the list."""
        store, problem = self._store(visitor, locale)
        if store is None:
            return ["", "", "", problem, *_buttons(False), "", _listed([], locale), *_chosen(None), gr.skip()]
        clips = store.clips()
        sentence = _next(store, clips)
        return [
            *(sentence, reading(sentence, store.locale, clips), "", "", *_buttons(False)),
            *(progress(clips, store.locale), _listed(clips, locale), *_chosen(None), gr.skip()),
        ]

    def keep_clip(self, visitor: Visitor, path: str | None, locale: str, sentence: str, kept: str) -> list[Any]:
        """Stop was pressed: the recording is kept with the sentence that was shown when it began."""
        if not path:
            return [gr.skip()] * 9  # nothing arrived, and script.js has said so
        try:
            with self.recordings.held(path):
                clip = self.add(visitor, locale, path, sentence, kept)
            store = own_clips(self.settings, visitor.owner, locale)
            clips, heard = store.clips(), store.sound(clip.name)
        except Exception as error:
            return [None, note(explain(error)), "", gr.skip(), *_buttons(False), gr.skip(), gr.skip(), gr.skip()]
        return [
            *(None, kept_line(clip), sounds("own-kept", [heard]), clip.name, *_buttons(True)),
            *(progress(clips, store.locale), _listed(clips, locale), changed_now()),
        ]

    def add(self, visitor: Visitor, locale: str, path: str, text: str, instead: str = "") -> OwnClip:
        """Keep a sound of this visitor's with what is said in it. `instead`: the clip that it takes the place of, where
        that says the same. Raises UserError."""
        store = own_clips(self.settings, visitor.owner, locale)
        check_room_for_clip(self.settings, visitor.owner)
        text = store.cleaned(text)
        same = any(clip.name == instead and clip.text == text for clip in store.clips())
        return store.add(Path(path), text, instead if same else None)

    def add_sound(self, visitor: Visitor, locale: str, path: str, text: str) -> OwnClip:
        """Keep a sound of this visitor's with what is said in it, once: other words take the place of those before.
        Raises UserError."""
        store = own_clips(self.settings, visitor.owner, locale)
        check_room_for_clip(self.settings, visitor.owner)
        return store.add(Path(path), text, store.holding(Path(path)))

    def look_over(self, visitor: Visitor, locale: str, chosen: str | None) -> list[Any]:
        """The clips have changed, here or elsewhere on the page: how many there are, and the list."""
        store, problem = self._store(visitor, locale)
        if store is None:
            return [problem, gr.skip()]
        clips = store.clips()
        kept = chosen if any(clip.name == chosen for clip in clips) else None
        return [progress(clips, store.locale), _listed(clips, locale, kept)]

    def next_sentence(self, visitor: Visitor, locale: str, sentence: str) -> list[Any]:
        """Next or Skip was pressed."""
        store = own_clips(self.settings, visitor.owner, locale)
        clips = store.clips()
        following = _next(store, clips, sentence)
        return [following, reading(following, store.locale, clips), "", "", *_buttons(False)]

    def choose_clip(self, visitor: Visitor, locale: str, name: str | None) -> list[Any]:
        """A clip of the list was chosen: its sound, and its words to be corrected."""
        store = own_clips(self.settings, visitor.owner, locale)
        clip = next((clip for clip in store.clips() if clip.name == name), None)
        return _chosen(None) if clip is None else _chosen(clip, store.sound(clip.name))

    def save_clip(self, visitor: Visitor, locale: str, name: str | None, text: str) -> list[Any]:
        """Its words were corrected."""
        store = own_clips(self.settings, visitor.owner, locale)
        try:
            clip = store.edit(name or "", text or "")
        except UserError as error:
            return [gr.skip(), gr.skip(), note(str(error)), gr.skip()]
        clips = store.clips()
        saved = note(f"Saved. {_place(clip)}", "quiet")
        return [progress(clips, store.locale), _listed(clips, locale, clip.name), saved, changed_now()]

    def delete_clip(self, visitor: Visitor, locale: str, name: str | None) -> list[Any]:
        """Delete was pressed."""
        store = own_clips(self.settings, visitor.owner, locale)
        store.delete(name or "")
        clips = store.clips()
        return [progress(clips, store.locale), _listed(clips, locale), *_chosen(None), changed_now()]

    def download_clips(self, visitor: Visitor, locale: str) -> str:
        """All of them in a language as a zip in Gradio's cache, from where it may be sent."""
        store = own_clips(self.settings, visitor.owner, locale)
        folder = download_folder(f"{visitor.owner} {locale} {[clip.name + clip.text for clip in store.clips()]}")
        return str(store.zip_to(folder))

    def _store(self, visitor: Visitor, locale: str) -> tuple[OwnClips | None, str]:
        try:
            return own_clips(self.settings, visitor.owner, locale), ""
        except UserError as error:
            return None, note(str(error))


def _next(store: OwnClips, clips: list[OwnClip], after: str = "") -> str:
    return next_sentence(store.locale, [clip.text for clip in clips], after)


def changed_now() -> int:
    """A new number, for what looks when something has changed."""
    return time.monotonic_ns() // 1_000_000


def _buttons(kept: bool) -> list[Any]:
    """Next and Again."""
    return [gr.update(interactive=kept), gr.update(interactive=kept)]


def _listed(clips: list[OwnClip], locale: str, chosen: str | None = None) -> dict[str, Any]:
    newest = list(reversed(clips))[:LISTED]
    choices = [(f"{clip.text} · {sound_length(clip.seconds)}{_SPLIT_WORDS[clip.split]}", clip.name) for clip in newest]
    update: dict[str, Any] = gr.update(choices=choices, value=chosen, visible=bool(choices))
    return update


def _chosen(clip: OwnClip | None, wav: bytes | None = None) -> list[Any]:
    """The editor of a clip: play button, its sound, its words, what was said of it, the group itself, and the question
    whether to delete it, which is closed."""
    if clip is None:
        return ["", "", "", "", gr.update(visible=False), gr.update(visible=False)]
    play = f'<div class="samples"><span>{play_button("own-clip-0", clip.text)}</span></div>'
    place = note(_place(clip), "quiet")
    shown = [gr.update(visible=True), gr.update(visible=False)]
    return [play, sounds("own-clip", [wav]), clip.text, place, *shown]


def _place(clip: OwnClip) -> str:
    return {
        "train": "It is learnt from.",
        "validation": "It helps to choose the best model, and is not learnt from.",
        "test": "It is kept for the test at the end, and is not learnt from.",
    }[clip.split]


def reading(sentence: str, locale: Locale, clips: list[OwnClip]) -> str:
    """The sentence to read, large; or that all were read."""
    if not sentence:
        if not clips:
            return note(f"There are no sentences to read in {locale.english}.", "quiet")
        return note("You have read all the sentences that I have. You can correct and play them below.", "quiet")
    return f'<p class="message quiet">Read aloud:</p><p class="reading" lang="{locale.code}">{escape(sentence)}</p>'


def kept_line(clip: OwnClip) -> str:
    """That a recording was kept, with a button to hear it."""
    words = f"Kept: {sound_length(clip.seconds)}. Hear it, go on, or say it again."
    return f'<p class="message kept" role="status">{play_button("own-kept-0", clip.text)} {escape(words)}</p>'


def progress(clips: list[OwnClip], locale: Locale) -> str:
    """How many there are, and about how many more would help."""
    sentences, seconds = splits_of(clips, locale).total(), sum(clip.seconds for clip in clips)
    basis = f"{TARGET_SENTENCES} sentences and {TARGET_SECONDS / 60:.0f} minutes are a good start, as a rule of thumb"
    if not clips:
        return note(f"No clips in {locale.english} yet. {basis}.", "quiet")
    count = f"{len(clips)} clip{'' if len(clips) == 1 else 's'}, {sentences} sentence{'' if sentences == 1 else 's'}"
    more = still_wanted(clips, locale)
    wanted = f"About {more} more would help" if more else "That is enough to begin with; more is better"
    return note(f"{count}, {sound_length(seconds)}. {wanted}: {basis}.", "quiet")


def what_becomes_of_them(settings: Settings) -> str:
    """Where they are, for how long, and who has them."""
    where = (
        f"Your clips stay on this Space, for you alone, until you delete them or have not changed them for {DAYS_KEPT} "
        "days. Who runs the Space can hear them."
        if settings.on_space
        else "Your clips stay on this computer until you delete them."
    )
    lost = "" if settings.lasting else " This Space forgets them when it restarts, so download them."
    kept = " A training keeps those that it learnt from until you delete that training."
    return note(f"{where}{lost}{kept}", "quiet")
