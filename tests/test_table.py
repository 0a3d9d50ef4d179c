"""Tables: one value, five writers, and text from outside that breaks none of them."""

import csv
import io

import pytest
from rich.console import Console

from jigsaw_shape.reports.table import (
    NONE,
    Cell,
    Table,
    interval,
    percent,
    print_table,
    to_csv,
    to_html,
    to_latex,
    to_markdown,
)

NASTY = '<b>&"[x]|*`_%$#{}~^\\猫'


def _table(**changes):
    fields = {
        "title": "Numbers, in %",
        "header": ("method", "accuracy", "note"),
        "body": [
            ("erm", Cell("50.0 ± 0.5", best=True), "of 3"),
            ("jigen", Cell("failed", badge="bad"), "code 1"),
            ("published", NONE, NONE),
        ],
        "aside": (2,),
        "notes": ["Mean ± error."],
    }
    return Table(**fields | changes)


def test_a_plain_text_becomes_a_cell():
    table = _table()
    assert table.body[0][0] == Cell("erm")
    assert table.body[0][1].best


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 cells, the header 3"):
        _table(body=[("a", "b")])


def test_columns_of_words_stand_to_the_left():
    assert _table().is_text == [True, False, True]
    assert Table("t", ("a", "b"), []).is_text == [True, False]
    assert Table("t", ("a", "b"), [("1", NONE), ("2", "")]).is_text == [True, False]


def test_markdown_marks_the_best_and_what_stands_apart():
    lines = to_markdown(_table()).splitlines()
    assert lines[0] == "### Numbers, in %"
    assert lines[2:] == [
        "| method | accuracy | note |",
        "| --- | ---: | --- |",
        "| erm | **50.0 ± 0.5** | of 3 |",
        "| jigen | failed | code 1 |",
        "| *published* | - | - |",
        "",
        "Mean ± error.",
    ]


def test_markdown_keeps_its_columns():
    lines = to_markdown(Table("t", ["a|b", "c"], [["x|y", NONE]])).splitlines()
    assert lines[2] == "| a\\|b | c |"
    assert lines[4] == "| x\\|y | - |"


def test_latex_escapes_what_it_must():
    cell = Cell("1.0 ± 0.1 [-2, +3]", best=True)
    written = to_latex(Table("a_b & 5 %", ["x"], [[cell]], notes=["~"]))
    assert r"a\_b \& 5 \%. \textasciitilde{}" in written
    assert r"\textbf{1.0 $\pm$ 0.1 [$-$2, +3]}" in written


def test_latex_sets_apart_by_a_rule():
    written = to_latex(_table())
    assert written.count(r"\midrule") == 2
    assert r"\begin{tabular}{lrl}" in written


def test_csv_reads_back():
    table = _table(body=[(NASTY, '1,"2"', "a\nb")])
    assert list(csv.reader(io.StringIO(to_csv(table)))) == [
        ["method", "accuracy", "note"],
        [NASTY, '1,"2"', "a\nb"],
    ]


def test_html_has_headers_caption_badges_and_escapes():
    html = to_html(_table(title=NASTY, body=[(NASTY, "+1.0 [-2, +3] (6)", NASTY)]))
    assert "<b>" not in html
    assert html.count("&lt;b&gt;&amp;&#34;[x]") == 4  # label, caption, two cells
    assert '<th scope="col" class="text">method</th>' in html
    assert '<th scope="row"' in html
    assert "+1.0<small>[-2, +3] (6)</small>" in html
    html = to_html(_table())
    assert '<span class="badge bad">failed</span>' in html
    assert 'class="best">50.0 ± 0.5<' in html
    assert html.count('<tr class="aside">') == 1


def test_the_terminal_shows_all_and_takes_brackets_as_they_are():
    console = Console(file=io.StringIO(), width=100, markup=False)
    print_table(_table(title=NASTY, header=("[b]", NASTY, "")), console)
    printed = console.file.getvalue()
    assert printed.count(NASTY) == 2
    for words in ("[b]", "50.0±0.5", "Mean ± error."):
        assert words in printed


@pytest.mark.parametrize(
    ("share", "shown"),
    [(None, "-"), (float("nan"), "-"), (0.0, "0.0"), (1.0, "100.0"), (0.1234, "12.3")],
)
def test_percent(share, shown):
    assert percent(share) == shown


def test_an_interval_is_from_low_to_high():
    assert interval({"low": 0.1, "high": 0.25}) == "10.0 to 25.0"
    assert interval({"low": 0.1, "high": float("nan")}) == NONE
    assert interval({}) == NONE
