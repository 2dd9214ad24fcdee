"""A model's page as the Hub shows it, more or less: Markdown to HTML, in Chromium."""

from pathlib import Path

from markdown_it import MarkdownIt
from playwright.sync_api import Page

_LOOK = """
  body { font: 16px/1.6 system-ui, sans-serif; color: #1f2937; max-width: 820px; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; } td, th { border: 1px solid #e5e7eb; padding: .3rem .8rem; text-align: left; }
  pre { background: #f3f4f6; padding: .8rem; overflow-x: auto; } img { max-width: 100%; }
"""


def html_of(card: str) -> str:
    """The body of a card, its YAML left out. HTML in it is kept, as the Hub keeps it: it must do no harm."""
    body = card.split("\n---\n", 1)[1]
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(body)


def open_card(page: Page, card: str, folder: Path) -> None:
    """Show it; its pictures come from the folder."""
    file = folder / "card.html"
    file.write_text(f"<!doctype html><meta charset=utf-8><style>{_LOOK}</style>{html_of(card)}", encoding="utf-8")
    page.goto(file.as_uri())
