"""A page of HTML that needs nothing else: what was simulated and how it went."""

from collections.abc import Sequence
from html import escape

from tulle.sim.figures import TITLES, Figures
from tulle.sim.plots import chart

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #1b2733; background: #fff; }
table { border-collapse: collapse; } td, th { padding: .25rem .8rem .25rem 0; text-align: left; }
td { vertical-align: top; }
figure { margin: 1.5rem 0; } figcaption { font-weight: 600; } svg { width: 100%; color: #2a6fb0; }
figure p { margin: 0; font-size: .85rem; color: #678; text-align: right; }
pre { overflow-x: auto; background: #f3f5f7; padding: 1rem; font-size: .8rem; }
.bad { color: #b3261e; } .good { color: #1d7a45; }
@media (prefers-color-scheme: dark) {
  body { color: #dde5ec; background: #14191f; } pre { background: #1e252d; } svg { color: #7db7ec; }
}
"""

Rows = Sequence[tuple[str, str]]


def page(title: str, facts: Rows, figures: Figures | None, failures: Sequence[Sequence[str]]) -> str:
    """``facts`` are a table of two columns, ``failures`` the postmortems, each as lines of text."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    charts = "".join(
        chart(text, figures.seconds, getattr(figures, name)) for name, text in TITLES.items() if figures
    )
    verdict = (
        f'<p class="bad">{len(failures)} runs failed.</p>'
        if failures
        else '<p class="good">Nothing that must hold was ever violated.</p>'
    )
    stories = "".join(f"<pre>{escape(chr(10).join(lines))}</pre>" for lines in failures)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1>{verdict}<table>{rows}</table>{charts}{stories}</html>\n"
    )
