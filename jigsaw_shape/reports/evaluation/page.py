"""An evaluation as one page. Imports no JAX."""

import io
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from jigsaw_shape.reports import html, look
from jigsaw_shape.reports.evaluation.parts import Card, Section, Table, Tile

_THUMB_PX = 168

_STYLE = """
:root { --shape: #3b6fb6; --texture: #b5720b; }
@media (prefers-color-scheme: dark) { :root { --shape: #86b0ff; --texture: #e8a93f; } }
.models { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); }
.model { background: var(--paper); border: 1px solid var(--line); border-radius: .75rem;
  border-top: 5px solid var(--who); padding: 1.1rem 1.25rem; }
.model h2 { font-size: 1.1rem; overflow-wrap: anywhere; }
.fact { display: grid; grid-template-columns: 6.5rem 1fr; gap: .75rem;
  padding: .5rem 0; border-top: 1px solid var(--line); align-items: start; }
.fact b { font-size: 1.15rem; font-variant-numeric: tabular-nums; line-height: 1.3;
  white-space: nowrap; }
.fact:first-of-type { border: 0; } .fact:first-of-type b { font-size: 1.45rem; }
.fact span { color: var(--soft); font-size: .875rem; line-height: 1.4; }
.track { height: 5px; border-radius: 3px; background: var(--line); margin-top: 5px; }
.track i { display: block; height: 5px; border-radius: 3px; background: var(--who); }
nav { margin: 1.4rem 0 0; font-size: .92rem; } nav a { margin-right: 1.1rem; }
.tiles { display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(8.25rem, 1fr)); }
.strip { display: grid; gap: .5rem; grid-auto-flow: column; grid-auto-columns: 6.5rem;
  overflow-x: auto; padding-bottom: .4rem; }
.tile { font-size: .78rem; line-height: 1.35; }
.tile img { display: block; width: 100%; border-radius: 7px;
  border: 1px solid var(--line); }
.tile strong { display: block; margin: 5px 0 3px; }
.tile p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
.tile em { font-style: normal; font-weight: 600; color: var(--ink); }
.tile em.shape { color: var(--shape); } .tile em.texture { color: var(--texture); }
.tile em.texture::after { content: " ▧"; } .tile em.shape::after { content: " ◆"; }
.warning { border-left: 4px solid #e0b252; background: var(--paper);
  padding: .5rem .9rem; margin: .6rem 0; border-radius: 4px; font-size: .92rem; }
@media print { section, .model { break-inside: avoid; } }
"""


def make(
    sections: Sequence[Section],
    tables: Sequence[Table],
    cards: Sequence[Card],
    about: Mapping[str, Any],
) -> str:
    """Returns the page: a summary, then figures with what was shown, tables, facts.

    Args:
      sections: See `sections.sections`.
      tables: See `tables.all_tables`.
      cards: See `sections.cards`.
      about: See `facts.collect`.
    """
    names = ", ".join(card.name for card in cards[:3])
    if len(cards) > 3:
        names += f" and {len(cards) - 3} more"
    links = "".join(
        f'<a href="#s{n}">{html.text(section.title)}</a>'
        for n, section in enumerate(sections)
    )
    notes = "".join(
        f'<p class="warning">{html.text(note)}</p>' for note in about["notes"]
    )
    # Tables of a suite are in its last section.
    last = {section.suite: n for n, section in enumerate(sections)}
    made_by = f"Made by jigsaw_shape {about['versions'].get('jigsaw_shape', '')}"
    return html.page(
        f"What {names} look{'s' if len(cards) == 1 else ''} at",
        _subtitle(about),
        f'<div class="models">{"".join(map(_card, cards))}</div>{notes}',
        f'<nav>{links}<a href="#facts">How it was measured</a></nav>',
        *(
            _section(
                n, s, [t for t in tables if (t.suite, n) == (s.suite, last[s.suite])]
            )
            for n, s in enumerate(sections)
        ),
        _facts(about),
        html.paragraph(f"{made_by}, {about['time']}.", note=True),
        style=_STYLE,
    )


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
            f'<div class="fact"><b>{html.text(number)}</b>'
            f"<span>{html.text(what)}{track}</span></div>"
        )
    name = html.text(card.name)
    return (
        f'<div class="model" style="--who:{card.colour}"><h2>{name}</h2>'
        f"{''.join(facts)}</div>"
    )


def _section(number: int, section: Section, tables: Sequence[Table]) -> str:
    with look.look():
        drawn = [
            html.drawing(figure, "", alt=name)
            for name, figure in section.figures.items()
        ]
    shown = [
        f"<h3>{html.text(title)}</h3>{_tiles(tiles)}" for title, tiles in section.tiles
    ]
    listed = "".join(map(_table, tables))
    if listed:
        listed = f"<details><summary>Tables</summary>{listed}</details>"
    lead = html.paragraph(section.lead)
    return html.section(section.title, lead, *drawn, *shown, listed, key=f"s{number}")


def _tiles(tiles: Sequence[Tile]) -> str:
    cued = any(kind != "other" for tile in tiles for _, _, kind in tile.answers)
    made = []
    for tile in tiles:
        answers = "".join(
            f'<p>{html.text(who)}: <em class="{kind}">{html.text(what)}</em></p>'
            for who, what, kind in tile.answers
        )
        made.append(
            f'<div class="tile">{_thumbnail(tile.image, tile.title)}'
            f"<strong>{html.text(tile.title)}</strong>{answers}</div>"
        )
    key = "◆ named the shape, ▧ named the texture"
    key = html.paragraph(key, note=True) if cued else ""
    return f'<div class="{"tiles" if cued else "strip"}">{"".join(made)}</div>{key}'


def _table(table: Table) -> str:
    rows = [[html.cell(html.text(cell)) for cell in row] for row in table.rows]
    return f"<h3>{html.text(table.title)}</h3>{html.table(table.columns, rows)}"


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
    models = html.text(json.dumps(about["models"], indent=1))
    return html.section(
        "How it was measured",
        f"<pre>{html.text(shlex.join(about['command']))}</pre>",
        html.paragraph(f"{versions}; {about['devices']}"),
        _table(data),
        _table(speed) if speed.rows else "",
        f"<details><summary>Models</summary><pre>{models}</pre></details>",
        key="facts",
    )


def _thumbnail(image: np.ndarray, alt: str) -> str:
    picture = Image.fromarray(image)
    picture.thumbnail((_THUMB_PX, _THUMB_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88, subsampling=0)
    return html.image(buffer.getvalue(), "jpeg", alt)
