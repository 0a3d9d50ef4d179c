"""Pages: whole, self-contained, and safe with what comes from outside."""

import html.parser
import re

from matplotlib.figure import Figure

from jigsaw_shape.reports import html as html_lib

_VOID = {"meta", "input", "img", "br"}


class _Balance(html.parser.HTMLParser):
    """Checks that every element is closed in its order; SVG's own included."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.fetched = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        values = dict(attrs)
        self.fetched += [
            values[k]
            for k in ("src", "href", "xlink:href")
            if k in values and not values[k].startswith(("data:", "#"))
        ]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def balanced(page: str) -> _Balance:
    """Returns what a page holds, after checking that it is well formed."""
    parser = _Balance()
    parser.feed(page)
    assert not parser.open
    assert not parser.fetched
    assert "script" not in parser.seen
    return parser


def _figure():
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], [1, 0], label="a < b")
    return figure


def test_a_page_is_whole_and_fetches_nothing():
    page = html_lib.page(
        "Title",
        "Lead",
        html_lib.cards([("3", "runs")]),
        html_lib.section(
            "Section",
            html_lib.paragraph("words", note=True),
            html_lib.tabs("t", [("one", html_lib.badge("ok", "good")), ("two", "")]),
            html_lib.table(["a", "b"], [[html_lib.cell("1", kind="best", title="t")]]),
            html_lib.drawing(_figure(), "drawn"),
            html_lib.drawing(_figure(), "", alt="described"),
            html_lib.image(b"png", "png", "pictured"),
            key="here",
        ),
        style=".own { color: red }",
    )
    assert page.index(".own {") < page.index("</style>")
    seen = balanced(page).seen
    for tag in ("html", "style", "table", "svg", "img", "input", "figcaption"):
        assert tag in seen


def test_equal_drawings_share_no_ids_and_refer_to_their_own():
    drawing = html_lib.drawing(_figure(), "drawn")
    page = html_lib.page("", "", drawing, drawing)
    assert page == html_lib.page("", "", drawing, drawing)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page)
    assert len(used) > 2
    assert {a or b for a, b in used} <= set(ids)


def test_text_from_outside_is_escaped():
    nasty = '<script>alert("x")</script>'
    page = html_lib.page(
        nasty,
        nasty,
        html_lib.cards([(nasty, nasty)]),
        html_lib.section(
            nasty, html_lib.paragraph(nasty), html_lib.badge(nasty, "bad")
        ),
        html_lib.table([nasty], [[html_lib.cell("", title=nasty)]]),
        html_lib.tabs("t", [(nasty, "")]),
        html_lib.image(b"", "png", nasty),
        html_lib.drawing(_figure(), nasty),
        html_lib.drawing(_figure(), "", alt=nasty),
        html_lib.section("", key=nasty),
    )
    balanced(page)


def test_one_tab_is_chosen():
    tabs = html_lib.tabs("t", [("one", "first"), ("two", "second")], chosen=1)
    assert tabs.count(" checked") == 1
    assert 'id="t1" checked' in tabs
