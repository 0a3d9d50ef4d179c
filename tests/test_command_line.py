"""Parsers, bars and consoles that all commands share."""

import io
import os
import subprocess
import sys

import pytest
from rich.console import Console

from jigsaw_shape.system import command_line

DOC = "Does it.\n\nDetails of 100 %.\n"


def _parser():
    parser = command_line.make_parser("thing fit", DOC)
    add = parser.add_argument
    add("--batch-size", type=int, default=64, metavar="N", help="at once")
    add("--seed", type=int, default=0, help="of every choice")
    add("--out", help="where to")
    return parser


def test_help_has_the_docstring_and_each_default(capsys):
    with pytest.raises(SystemExit) as exit_:
        _parser().parse_args(["--help"])
    assert exit_.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: python -m jigsaw_shape.thing fit")
    assert "Details of 100 %." in printed
    assert "at once (default 64)" in printed
    assert "of every choice (default 0)" in printed
    assert "where to\n" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--batch_size", "3"],
            "unknown argument --batch_size; did you mean --batch-size?",
        ),
        (["--batch_size=3"], "did you mean --batch-size?"),
        (["--verbose-ness"], "unknown argument --verbose-ness"),
        (["--batch", "3"], "unknown argument --batch"),
        (["--batch-size", "x"], "invalid int value: 'x'"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as exit_:
        _parser().parse_args(arguments)
    assert exit_.value.code == command_line.REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("thing fit: ")
    assert words in line


def test_a_name_that_the_console_cannot_print_is_printed_as_codes():
    code = (
        "import sys\n"
        "from jigsaw_shape.system import command_line\n"
        "def main(argv):\n"
        "    print('plain', '猫')\n"
        "    command_line.make_console().print('rich 猫 \\udcff [b]')\n"
        "    return 0\n"
        "command_line.run(main, sys.argv)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert done.returncode == 0, done.stderr.decode()
    printed = done.stdout.decode("cp1252").split("\n")
    assert printed[0].rstrip() == r"plain \u732b"
    assert printed[1].rstrip() == r"rich \u732b \udcff [b]"


def test_a_bar_moves_on_a_terminal_and_is_lines_elsewhere():
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=80)
    with command_line.progress_bar("image [b]", 40, console=console) as update:
        update(10, "5.0 images/s")
        update(40, "[x]")
    assert "image [b] 40/40" in terminal.getvalue()
    assert "left [x]" in terminal.getvalue()
    for lines, expected in ((True, 10), (False, 0)):
        file = io.StringIO()
        console = Console(file=file, width=80)
        bar = command_line.progress_bar("image", console=console, lines=lines)
        with bar as update:
            for n_done in range(41):
                update(n_done, "fast", total=40)
        printed = [line for line in file.getvalue().splitlines() if line]
        assert len(printed) == expected
        assert not lines or printed[0].rstrip() == "image 4/40  fast"


def test_a_tracked_loop_sees_every_item(capsys):
    assert list(command_line.track(iter("abc"), "reading", 3)) == ["a", "b", "c"]
    assert list(command_line.track("abc", "reading")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
