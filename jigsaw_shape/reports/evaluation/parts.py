"""What suites import until they import `reports.table` and `reports.page`."""

from jigsaw_shape.reports import table as table_lib
from jigsaw_shape.reports.page import Card, Report, Section, Tile  # noqa: F401
from jigsaw_shape.reports.table import NONE, interval, percent  # noqa: F401


def Table(suite, title, columns, rows):  # noqa: D103
    return table_lib.Table(title, columns, rows, suite=suite)
