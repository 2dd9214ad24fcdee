"""Whether a page can be read: contrast as WCAG AA wants it, and nothing beside the edge of the screen."""

from playwright.sync_api import Page

# Every text that is visible and not of a disabled control: its contrast with the first solid background behind it.
CONTRASTS = """() => {
  const rgb = (css) => { const m = css.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let e = node; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255, 1];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.querySelector('.gradio-container'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, words = walker.currentNode.textContent.trim();
    if (!words || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (element.closest('button:disabled, .only-spoken, .example, footer, [aria-hidden=true]')) continue;
    const style = getComputedStyle(element), svg = element.closest('svg');
    const [a, b] = [light(rgb(svg ? style.fill : style.color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(1)}: ${words.slice(0, 40)}`);
  }
  return poor;
}"""


def accessibility_faults(page: Page) -> list[str]:
    """What cannot be read well, in words; [] for a page that is in order."""
    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return [*page.evaluate(CONTRASTS), *(["it scrolls sideways"] if wide else [])]
