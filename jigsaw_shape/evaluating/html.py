"""One page that holds everything: no script, no fetches, pictures inside. No JAX."""

import base64
import html
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from jigsaw_shape.evaluating import style
from jigsaw_shape.evaluating.parts import Card, Section, Table, Tile

_THUMB_PX = 168
_SVG_BYTES = 600_000  # larger ones are put in as pictures

_STYLE = """
:root { --ink: #1d2330; --dim: #5c6675; --line: #e3e6ec; --paper: #ffffff;
  --ground: #f5f6f9; --shape: #3b6fb6; --texture: #b5720b; }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif }
header, main, footer { max-width: 1080px; margin: 0 auto; padding: 0 24px }
header { padding-top: 44px }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.02em }
h2 { font-size: 1.35rem; margin: 0 0 8px; letter-spacing: -.01em }
h3 { font-size: .95rem; margin: 26px 0 10px; color: var(--dim); font-weight: 600 }
.sub { color: var(--dim); margin: 0 0 26px }
.cards { display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)) }
.card, section, details.more { background: var(--paper); border: 1px solid var(--line);
  border-radius: 12px }
.card { border-top: 5px solid var(--who); padding: 18px 20px }
.card h2 { font-size: 1.1rem; overflow-wrap: anywhere }
.fact { display: grid; grid-template-columns: 104px 1fr; gap: 12px; padding: 8px 0;
  border-top: 1px solid var(--line); align-items: start }
.fact b { font-size: 1.15rem; font-variant-numeric: tabular-nums; line-height: 1.3;
  white-space: nowrap }
.fact:first-of-type { border: 0 } .fact:first-of-type b { font-size: 1.45rem }
.fact span { color: var(--dim); font-size: .87rem; line-height: 1.4 }
.track { height: 5px; border-radius: 3px; background: var(--line); margin-top: 5px }
.track i { display: block; height: 5px; border-radius: 3px; background: var(--who) }
nav { margin: 22px 0 0; font-size: .92rem } nav a { margin-right: 18px }
a { color: #1b5fb4 }
section { padding: 26px 28px 30px; margin: 26px 0; overflow: hidden }
.lead { max-width: 74ch; margin: 0 0 18px }
figure { margin: 22px 0; text-align: center; overflow-x: auto }
figure svg, figure img { max-width: 100%; height: auto }
.tiles { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)) }
.strip { display: grid; gap: 8px; grid-auto-flow: column; grid-auto-columns: 104px;
  overflow-x: auto; padding-bottom: 6px }
.tile { font-size: .78rem; line-height: 1.35 }
.tile img { display: block; width: 100%; border-radius: 7px; border: 1px solid
  var(--line) }
.tile strong { display: block; margin: 5px 0 3px }
.tile p { margin: 0; color: var(--dim); overflow-wrap: anywhere }
.tile em { font-style: normal; font-weight: 600; color: var(--ink) }
.tile em.shape { color: var(--shape) } .tile em.texture { color: var(--texture) }
.tile em.texture::after { content: " ▧" } .tile em.shape::after { content: " ◆" }
.key { font-size: .85rem; color: var(--dim); margin: 8px 0 0 }
details { margin-top: 18px } summary { cursor: pointer; font-weight: 600 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .87rem; margin: 8px 0 20px;
  font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600; padding: 12px 0 6px }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line);
  text-align: right; white-space: nowrap }
th { color: var(--dim); font-weight: 600 } th:first-child, td:first-child
  { text-align: left }
pre { background: var(--ground); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; overflow-x: auto; font-size: .84rem; white-space: pre-wrap;
  overflow-wrap: anywhere }
.note { border-left: 4px solid #e0b252; background: #fdf8ec; padding: 8px 14px;
  margin: 10px 0; border-radius: 4px; font-size: .92rem }
footer { color: var(--dim); font-size: .85rem; padding-bottom: 40px }
@media print { body { background: #fff } section, .card { break-inside: avoid } }
"""


def page(
    sections: Sequence[Section],
    tables: Sequence[Table],
    cards: Sequence[Card],
    about: Mapping[str, Any],
) -> str:
    """Returns the page: a summary, then figures with what was shown, tables, facts.

    Args:
      sections: See `pages.sections`.
      tables: See `tables.all_tables`.
      cards: See `pages.cards`.
      about: See `facts.collect`.
    """
    names = ", ".join(card.name for card in cards[:3])
    if len(cards) > 3:
        names += f" and {len(cards) - 3} more"
    links = "".join(
        f'<a href="#s{n}">{_text(section.title)}</a>'
        for n, section in enumerate(sections)
    )
    notes = "".join(f'<p class="note">{_text(note)}</p>' for note in about["notes"])
    suites = [section.suite for section in sections]
    body = "".join(
        _section(
            n,
            section,
            [t for t in tables if t.suite == section.suite]
            if section.suite not in suites[n + 1 :]
            else [],
        )
        for n, section in enumerate(sections)
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What {_text(names)} look{"s" if len(cards) == 1 else ""} at</title>
<style>{_STYLE}</style></head><body>
<header><h1>What {_text(names)} look{"s" if len(cards) == 1 else ""} at</h1>
<p class="sub">{_text(_subtitle(about))}</p>
<div class="cards">{"".join(map(_card, cards))}</div>{notes}
<nav>{links}<a href="#facts">How it was measured</a></nav></header>
<main>{body}{_facts(about)}</main>
<footer>Made by jigsaw_shape {_text(about["versions"].get("jigsaw_shape", ""))}, \
{_text(about["time"])}.</footer></body></html>
"""


def _subtitle(about) -> str:
    sets = [
        f"{data['n_images']:,} images of {name}" for name, data in about["data"].items()
    ]
    return "; ".join(sets)


def _card(card: Card) -> str:
    facts = []
    for number, what, share in card.facts:
        track = ""
        if share is not None:
            width = f"{100 * min(max(share, 0), 1):.1f}"
            track = f'<div class="track"><i style="width:{width}%"></i></div>'
        facts.append(
            f'<div class="fact"><b>{_text(number)}</b>'
            f"<span>{_text(what)}{track}</span></div>"
        )
    return (
        f'<div class="card" style="--who:{card.colour}"><h2>{_text(card.name)}</h2>'
        f"{''.join(facts)}</div>"
    )


def _section(number: int, section: Section, tables: Sequence[Table]) -> str:
    drawn = "".join(
        f"<figure>{_figure(figure, name)}</figure>"
        for name, figure in section.figures.items()
    )
    shown = "".join(
        f"<h3>{_text(title)}</h3>{_tiles(tiles)}" for title, tiles in section.tiles
    )
    listed = ""
    if tables:
        inside = "".join(map(_table, tables))
        listed = f"<details><summary>Tables</summary>{inside}</details>"
    return (
        f'<section id="s{number}"><h2>{_text(section.title)}</h2>'
        f'<p class="lead">{_text(section.lead)}</p>{drawn}{shown}{listed}</section>'
    )


def _tiles(tiles: Sequence[Tile]) -> str:
    cued = any(kind != "other" for tile in tiles for _, _, kind in tile.answers)
    made = []
    for tile in tiles:
        answers = "".join(
            f'<p>{_text(who)}: <em class="{kind}">{_text(what)}</em></p>'
            for who, what, kind in tile.answers
        )
        made.append(
            f'<div class="tile"><img alt="{_text(tile.title)}" '
            f'src="{_picture(tile.image)}"><strong>{_text(tile.title)}</strong>'
            f"{answers}</div>"
        )
    key = '<p class="key">◆ named the shape, ▧ named the texture</p>' if cued else ""
    return f'<div class="{"tiles" if cued else "strip"}">{"".join(made)}</div>{key}'


def _table(table: Table) -> str:
    head = "".join(f"<th>{_text(column)}</th>" for column in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="wide"><table><caption>{_text(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _facts(about: Mapping[str, Any]) -> str:
    data = Table(
        "",
        "Data",
        ("", "experiment", "images", "side, px", "digest", "made by"),
        tuple(
            (
                name,
                d["experiment"],
                f"{d['n_images']:,}",
                str(d["side_px"] or "various"),
                d["digest"],
                d["made_by"] or "-",
            )
            for name, d in about["data"].items()
        ),
    )
    speed = Table(
        "",
        "Passes over the images",
        ("", "models", "answers", "seconds", "images/s", "in the models, %"),
        tuple(
            (
                s["data"],
                ", ".join(s["models"]),
                f"{s['n_answers']:,}",
                f"{s['total_s']:.1f}",
                f"{s['images_per_s']:.1f}",
                f"{100 * s['forward_share']:.0f}",
            )
            for s in about["speed"]
        ),
    )
    versions = ", ".join(f"{name} {v}" for name, v in about["versions"].items())
    models = json.dumps(about["models"], indent=1)
    return (
        '<section id="facts"><h2>How it was measured</h2>'
        f"<pre>{_text(shlex.join(about['command']))}</pre>"
        f"<p>{_text(versions)}; {_text(about['devices'])}</p>{_table(data)}"
        f"{_table(speed) if speed.rows else ''}<details><summary>Models</summary>"
        f"<pre>{_text(models)}</pre>"
        "</details></section>"
    )


def _figure(figure: Figure, name: str) -> str:
    """Returns a figure as inline SVG, or as a PNG where that would be too long."""
    buffer = io.StringIO()
    # Ids are apart from those of other figures on the page.
    with style.look(), matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    if len(text) <= _SVG_BYTES:
        return text[text.index("<svg") :]
    pixels = io.BytesIO()
    with style.look():
        figure.savefig(pixels, format="png", dpi=160)
    return f'<img alt="{_text(name)}" src="{_data("png", pixels.getvalue())}">'


def _picture(image: np.ndarray) -> str:
    picture = Image.fromarray(image)
    picture.thumbnail((_THUMB_PX, _THUMB_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88, subsampling=0)
    return _data("jpeg", buffer.getvalue())


def _data(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _text(text: str) -> str:
    return html.escape(str(text), quote=True)
