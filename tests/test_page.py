"""Pages: whole, self-contained, safe with what comes from outside, and accessible."""

import html.parser
import re
import xml.etree.ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from jigsaw_shape.reports import evaluation_folder, figures, page, templates
from jigsaw_shape.reports.page import Card, Report, Section, Tile
from jigsaw_shape.reports.table import Table

NASTY = '<script>alert("x")</script>&[b]猫'
_VOID = {"meta", "input", "img", "br"}


class _Balance(html.parser.HTMLParser):
    """Checks that every element is closed in its order; SVG's own included."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.fetched, self.ids = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        values = dict(attrs)
        assert len(values) == len(attrs), f"an attribute of <{tag}> is there twice"
        self.ids += [values["id"]] if "id" in values else []
        self.fetched += [
            values[k]
            for k in ("src", "href", "xlink:href")
            if k in values and not values[k].startswith(("data:", "#"))
        ]
        if tag == "img":
            assert values["alt"]
        if values.get("role") in ("img", "group", "region"):
            assert values["role"] == "group" or values["aria-label"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def balanced(page: str, scripts: int = 0) -> _Balance:
    """Returns what a page holds, after checking that it is well formed."""
    parser = _Balance()
    parser.feed(page)
    assert not parser.open
    assert not parser.fetched
    assert parser.seen.count("script") == scripts
    assert len(parser.ids) == len(set(parser.ids))
    used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page)
    assert {a or b for a, b in used} <= set(parser.ids)
    return parser


def _figure(label=""):
    figure = Figure(figsize=(2, 1), layout="constrained")
    figure.subplots().plot([0, 1], [1, 0], label="a < b")
    figure.set_label(label)
    return figure


def _evaluation(name):
    """Returns a page whose every text is `name`."""
    image = np.zeros((4, 5, 3), np.uint8)
    tiles = (Tile(image, name, ((name, name, "shape"),)), Tile(image, name))
    section = Section(
        "suite",
        name,
        name,
        {"one": _figure(name), "two": _figure()},
        ((name, tiles), (name, tiles[1:])),
    )
    table = Table(name, ("", name), [(name, name)], notes=[name], suite="suite")
    about = {
        "notes": [name],
        "versions": {"jigsaw_shape": name},
        "devices": name,
        "models": {name: {"weights": name}},
        "command": ["python", name],
        "time": "now",
        "data": {
            name: {
                "experiment": name,
                "n_images": 3,
                "side_px": None,
                "digest": name,
                "made_by": "",
            }
        },
        "speed": [],
    }
    cards = [Card(name, "#112233", (("1.0 %", name, 2.0), ("3", name, None)))]
    report = Report(cards, [section, section], [table])
    return evaluation_folder._page(report, about)


def test_an_evaluation_s_page_is_whole_and_fetches_nothing():
    made = _evaluation("plain")
    seen = balanced(made).seen
    for tag in ("html", "style", "table", "caption", "svg", "img", "details", "nav"):
        assert tag in seen
    assert made == _evaluation("plain")
    assert seen.count("details") == 2  # a suite's tables once, and the models
    assert "width: 100.0%" in made  # a share above 1 does not leave its track


def test_text_from_outside_is_escaped():
    made = _evaluation(NASTY)
    balanced(made)
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;&amp;[b]猫" in made


def test_figures_are_described_by_their_label_or_name():
    made = _evaluation("Accuracy by class")
    assert 'aria-label="Accuracy by class"' in made
    assert 'aria-label="two"' in made


def test_a_drawing_is_laid_out_once_and_is_the_same_in_each_format(tmp_path):
    figure = _figure()
    drawing = figures.Drawing(figure, "a_b")
    assert drawing.alt == "a b"
    drawing.write(tmp_path / "new" / "one.svg")
    drawing.write(tmp_path / "new" / "one.png")
    place = figure.axes[0].get_position().bounds
    assert (tmp_path / "new" / "one.svg").read_text() == drawing.svg
    assert (tmp_path / "new" / "one.png").read_bytes() == drawing.png
    xml.etree.ElementTree.fromstring(drawing.svg)
    assert figure.axes[0].get_position().bounds == place
    assert drawing.svg == figures.Drawing(_figure()).svg


def test_a_large_drawing_is_pixels_on_the_page(monkeypatch):
    drawing = figures.Drawing(_figure("big"))
    assert "<svg" in templates.part("drawing", drawing, "below")
    monkeypatch.setattr(figures, "_LARGE_BYTES", 10)
    made = templates.part("drawing", drawing, "below")
    assert "<svg" not in made
    assert 'alt="big" src="data:image/png' in made
    assert "<figcaption>below</figcaption>" in made


@pytest.mark.parametrize("chosen", [0, 1])
def test_one_tab_is_chosen(chosen):
    table, drawing = Table("t", ("a",), [("b",)]), figures.Drawing(_figure())
    panels = [(name, table, drawing) for name in ("one", "two")]
    tabs = templates.part("tabs", "t-", "Rule", panels, chosen, "")
    assert tabs.count(" checked") == 1
    assert f'id="t-{chosen}" checked' in tabs


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(Exception, match="lead"):
        page.make("page.html", title="no lead")
