"""Names in any script are drawn, or numbered; nothing is said on stderr."""

import io
import warnings

import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from jigsaw_shape.reports import fonts


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    """No number is given yet, and fonts are searched anew."""
    monkeypatch.setattr(fonts, "_numbers", {})
    fonts._family.cache_clear()
    yield
    fonts._family.cache_clear()


def _figure(names):
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(names)), [1] * len(names))
    axes.set_yticks(range(len(names)), names)
    axes.set_title(f"{names[0]}: 3 % right")
    return figure, axes


def _draw(figure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix in ("png", "svg"):
            figure.savefig(io.BytesIO(), format=suffix)


def _only(monkeypatch, *families):
    entries = font_manager.fontManager.ttflist
    kept = [entry for entry in entries if entry.name in ("DejaVu Sans", *families)]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", kept)


def test_names_without_a_font_are_numbered_alike_everywhere(monkeypatch):
    _only(monkeypatch)
    names = ["\u732b", "dog", "\u676f\u5b50 big"]
    for _ in range(2):
        figure, axes = _figure(names)
        fonts.fit(figure)
        _draw(figure)
        shown = [label.get_text() for label in axes.get_yticklabels()]
        assert shown == ["#1", "dog", "#2 big"]
        assert axes.get_title() == "#1: 3 % right"
    assert "#1 is \u732b, #2 is \u676f\u5b50" in fonts.note()


def test_an_installed_font_with_the_glyphs_is_used(monkeypatch):
    _only(monkeypatch, "STIXGeneral")
    (path,) = {
        e.fname
        for e in font_manager.fontManager.ttflist
        if "STIXG" in e.name and e.style == "normal" and e.weight == 400
    }
    usual = font_manager.findfont("DejaVu Sans")
    character = chr(min(fonts._characters(path) - fonts._characters(usual)))
    figure, axes = _figure([character, "dog"])
    fonts.fit(figure)
    _draw(figure)
    first, second = axes.get_yticklabels()
    assert first.get_text() == character
    assert "STIXGeneral" in first.get_fontfamily()
    assert "STIXGeneral" not in second.get_fontfamily()
    assert fonts.note() == ""


def test_a_dollar_is_no_formula():
    figure, axes = _figure(["a$b", "$^$"])
    fonts.fit(figure)
    _draw(figure)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a$b", "$^$"]
