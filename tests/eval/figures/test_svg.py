"""Figures say the values of their marks where a pointer rests on them, and no name in them is
markup.
"""

import re
from html import unescape

import numpy as np
from matplotlib.figure import Figure

from eval.figures.svg import inline, say_value


def drawn(*words: str, alt: str = "") -> str:
    figure = Figure()
    axes = figure.subplots()
    for place, stated in enumerate(words):
        say_value(axes, place, 0.5, stated)
    return str(inline(figure, alt))


def test_a_mark_has_its_words_as_its_title_and_an_area_to_point_at():
    assert re.findall(
        r"<g><title>(.*?)</title>.*?<use .*?fill-opacity: 0",
        drawn("k = 1: 0.753", "k = 2: 0.8"),
        re.S,
    ) == ["k = 1: 0.753", "k = 2: 0.8"]


def test_no_group_keeps_an_id_that_another_figure_repeats():
    figure = Figure()
    figure.subplots().fill_between([0, 1], [np.nan, np.nan], [np.nan, np.nan])
    assert not re.findall("<g id=", str(inline(figure, "")))


def test_hostile_words_stay_words():
    hostile = '"><img src=x onerror=alert(1)></title><script>alert(1)</script>'
    svg = drawn(hostile, alt=hostile)
    assert "<img" not in svg and "<script" not in svg
    assert unescape(re.findall("<title>(.*?)</title>", svg)[0]) == hostile
