"""Self-contained HTML pages: what the commands' reports share. Imports no JAX.

A page is one file without scripts or anything fetched. Functions return HTML; text that
comes from outside (names, paths, messages) is escaped here, so callers pass it plain.
"""

import base64
import html
import io
import itertools
import re
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

_SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
_SVG_ID = re.compile(r'\bid="|\bhref="#|url\(#')
_SVG_BYTES = 600_000  # figures that are larger as vectors are put in as pixels

_STYLE = """
:root { --ink: #1d2330; --soft: #5c6675; --line: #e3e6ec; --paper: #ffffff;
  --ground: #f5f6f9; --accent: #2f5fd0; --good: #1a7f4b; --bad: #b3261e;
  --warn: #8a5a00; --best: #e8f0ff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --soft: #9aa5b8;
  --line: #2d3442; --paper: #1a1f29; --ground: #11151c; --accent: #86a8ff;
  --good: #5fce97; --bad: #ff8a80; --warn: #f0bd5b; --best: #22304f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; }
p { margin: .4rem 0; max-width: 46rem; }
a { color: var(--accent); }
code { font: .875em ui-monospace, SFMono-Regular, Menlo, monospace;
  overflow-wrap: anywhere; }
.lead { color: var(--soft); margin-bottom: 1.6rem; }
.note { color: var(--soft); font-size: .875rem; }
section { background: var(--paper); border: 1px solid var(--line);
  border-radius: .75rem; padding: 1.3rem 1.5rem; margin: 1.1rem 0; }
.cards { display: grid; gap: .8rem; margin: 1.1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); }
.card { background: var(--paper); border: 1px solid var(--line);
  border-radius: .75rem; padding: .9rem 1.1rem; }
.card b { display: block; font-size: 1.7rem; line-height: 1.2; font-weight: 650;
  font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .875rem; }
.scroll { overflow-x: auto; }
details { margin-top: 1.1rem; } summary { cursor: pointer; font-weight: 600; }
pre { background: var(--ground); border: 1px solid var(--line); border-radius: .5rem;
  padding: .7rem .9rem; font-size: .84rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; font-size: .8125rem; }
th:first-child, td:first-child, .text { text-align: left; }
td.text { white-space: normal; }
tbody tr:last-child td { border-bottom: 0; }
td.best { background: var(--best); font-weight: 650; }
td small { display: block; color: var(--soft); font-weight: 400; font-size: .75rem; }
tr.aside td { color: var(--soft); font-style: italic; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.badge { display: inline-block; border: 1px solid currentColor; border-radius: 1rem;
  padding: 0 .55rem; font-size: .75rem; line-height: 1.5; }
figure { margin: .8rem 0 0; background: #ffffff; border-radius: .5rem; padding: .6rem; }
figure svg, figure img { display: block; max-width: 100%; height: auto;
  margin: 0 auto; }
figcaption { color: #5c6675; font-size: .875rem; padding: .5rem .2rem 0; }
.tabs { display: flex; flex-wrap: wrap; gap: 0 .4rem; }
.tabs > input { position: absolute; opacity: 0; pointer-events: none; }
.tabs > label { padding: .3rem .9rem; border-radius: 2rem; cursor: pointer;
  border: 1px solid var(--line); color: var(--soft); font-size: .9375rem; }
.tabs > input:checked + label { background: var(--accent); color: var(--paper);
  border-color: var(--accent); }
.tabs > input:focus-visible + label { outline: 2px solid var(--accent);
  outline-offset: 2px; }
.tabs > .panel { display: none; flex-basis: 100%; order: 1; padding-top: .9rem;
  min-width: 0; }
.tabs > input:checked + label + .panel { display: block; }
@media print { body { background: none; } .tabs > .panel { display: block; } }
"""


def page(title: str, lead: str, *parts: str, style: str = "") -> str:
    """Returns a whole document.

    Args:
      title: Plain text.
      lead: Plain text below the title.
      *parts: HTML, such as `section` and `cards` return.
      style: CSS of the page's own, after what all pages share.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
<main>
<h1>{text(title)}</h1>
<p class="lead">{text(lead)}</p>
{_with_ids_apart("".join(parts))}
</main>
</body>
</html>
"""


def _with_ids_apart(body: str) -> str:
    """Gives each drawing ids of its own, as what one hides is of no use to others."""
    numbers = itertools.count()

    def renamed(drawing):
        number = next(numbers)
        return _SVG_ID.sub(lambda found: f"{found[0]}d{number}-", drawing[0])

    return _SVG.sub(renamed, body)


def text(value: object) -> str:
    """Returns plain text as HTML."""
    return html.escape(str(value))


def section(title: str, *parts: str, key: str = "") -> str:
    """Returns a framed part of the page under a heading; `#key` leads to it."""
    attribute = f' id="{text(key)}"' if key else ""
    return f"<section{attribute}><h2>{text(title)}</h2>{''.join(parts)}</section>"


def paragraph(words: str, *, note: bool = False) -> str:
    """Returns plain text as a paragraph; a note is small and grey."""
    kind = ' class="note"' if note else ""
    return f"<p{kind}>{text(words)}</p>"


def cards(items: Sequence[tuple[str, str]]) -> str:
    """Returns a row of large figures: (value, what it is), plain text both."""
    made = (
        f'<div class="card"><b>{text(value)}</b><span>{text(label)}</span></div>'
        for value, label in items
    )
    return f'<div class="cards">{"".join(made)}</div>'


def badge(words: str, kind: str) -> str:
    """Returns a word in a frame; `kind` is `good`, `bad` or `warn`."""
    return f'<span class="badge {kind}">{text(words)}</span>'


def cell(value: str, *, kind: str = "", title: str = "") -> str:
    """Returns a cell of a table from HTML.

    Args:
      value: HTML.
      kind: Classes: `best`, `good`, `bad`, `warn`, `text` (to the left).
      title: Plain text, shown when pointed at.
    """
    attributes = f' class="{kind}"' if kind else ""
    attributes += f' title="{text(title)}"' if title else ""
    return f"<td{attributes}>{value}</td>"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    aside: Sequence[int] = (),
    left: Sequence[int] = (0,),
) -> str:
    """Returns a table that scrolls where the page is too narrow.

    Args:
      header: Plain text.
      rows: Cells, as `cell` returns.
      aside: Indices of rows that are set apart, such as published numbers.
      left: Indices of columns of text, whose cells are of the kind `text`.
    """
    sides = [' class="text"' if i in left else "" for i in range(len(header))]
    head = "".join(
        f"<th{side}>{text(name)}</th>" for side, name in zip(sides, header, strict=True)
    )
    kinds = [' class="aside"' if i in aside else "" for i in range(len(rows))]
    body = "".join(
        f"<tr{kind}>{''.join(row)}</tr>" for kind, row in zip(kinds, rows, strict=True)
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def tabs(name: str, panels: Sequence[tuple[str, str]], chosen: int = 0) -> str:
    """Returns parts of which one is shown at a time, without a script.

    Args:
      name: Of these tabs; letters and digits, one of its kind on the page.
      panels: (label, HTML).
      chosen: Index of the one shown first.
    """
    made = []
    for i, (label, content) in enumerate(panels):
        key = f"{name}{i}"
        checked = " checked" if i == chosen else ""
        made.append(
            f'<input type="radio" name="{name}" id="{key}"{checked}>'
            f'<label for="{key}">{text(label)}</label>'
            f'<div class="panel">{content}</div>'
        )
    return f'<div class="tabs">{"".join(made)}</div>'


def drawing(figure: Figure, caption: str, *, alt: str = "") -> str:
    """Returns a figure with a caption, as vectors where these are not too many.

    Args:
      figure: Drawn as it is.
      caption: Plain text below it; "" for none.
      alt: Plain text for who cannot see it; "": the caption.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "the same in every run"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    if len(svg) > _SVG_BYTES:
        pixels = io.BytesIO()
        figure.savefig(pixels, format="png", dpi=160)
        return _figure(image(pixels.getvalue(), "png", alt or caption), caption)
    svg = svg[svg.index("<svg") :]
    label = text(alt or caption)
    return _figure(f'<div role="img" aria-label="{label}">{svg}</div>', caption)


def image(data: bytes, kind: str, alt: str) -> str:
    """Returns an encoded image, `png` or `jpeg`, inside the page."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<img alt="{text(alt)}" src="{source}">'


def _figure(content: str, caption: str) -> str:
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f"<figure>{content}{below}</figure>"
