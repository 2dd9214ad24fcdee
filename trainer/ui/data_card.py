"""The few lines that say what the data is, with clips to play."""

from html import escape

from trainer.speech.locales import Locale
from trainer.speech.preview import DataPreview, Sample
from trainer.ui.clips import play_button, sounds
from trainer.ui.wording import sound_length

LOOKING = '<p class="data-line">Looking for clips …</p>'


def data_card(preview: DataPreview, locale: Locale, more_coming: bool = False) -> str:
    """ "123 clips · 6 min · Practice voices" and, once they are there, samples to play."""
    facts = [f"{preview.clips:,} clips".replace(",", " ")]
    if preview.seconds:
        facts.append(sound_length(preview.seconds))
    facts.append(preview.title)
    line = f'<p class="data-line">{escape(" · ".join(facts))}</p>'
    if not preview.samples and more_coming:
        return line + '<p class="data-line">Fetching a few to play …</p>'
    rows = "".join(_row(number, sample, locale) for number, sample in enumerate(preview.samples))
    return line + (f'<ul class="samples">{rows}</ul>' if rows else "")


def data_sounds(preview: DataPreview) -> str:
    """The samples' sounds, to be sent beside the card."""
    return sounds("sample", [sample.wav for sample in preview.samples])


def banner(text: str) -> str:
    """One sentence above the tabs, where it matters; "" for none."""
    return f'<p class="banner">{escape(text)}</p>' if text else ""


def _row(number: int, sample: Sample, locale: Locale) -> str:
    words = escape(sample.text)
    return f'<li>{play_button(f"sample-{number}", sample.text)}<span lang="{locale.code}">{words}</span></li>'
