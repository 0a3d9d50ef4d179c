"""What the commands share: parsers, consoles, progress bars, refusals, exit codes."""

import argparse
import contextlib
import difflib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NoReturn, TypeVar

import rich.progress
from absl import flags
from ml_collections import ConfigDict, config_flags
from rich.console import Console

from jigsaw_shape.system import cpu, programs

OK = 0
REFUSED = 2  # the request cannot be carried out as it stands
NON_FINITE = 3  # a loss stopped being a number
LOST_PEER = 69  # EX_UNAVAILABLE: another process of a run on several hosts is gone
IO_FAILED = 74  # EX_IOERR: a file could not be read or written on the way
INTERRUPTED = 75  # EX_TEMPFAIL: stopped on request and saved; run it again to continue
KILLED = 130  # Ctrl-C where there is nothing to save
UNREAD = 141  # the reader of stdout, such as `head`, has closed it

_NO_DEFAULT = ("", [], argparse.SUPPRESS)  # nothing to show in a flag's help
_Item = TypeVar("_Item")


@contextlib.contextmanager
def refusals(command: str) -> Iterator[None]:
    """Turns a `ValueError` or `OSError` inside into its message and exit code 2.

    A `ConnectionError`, which may pass, ends with code 74.

    For what happens at the door (flags, configuration, data, weights), where such
    errors speak to the user; not for computation, where they are our own faults.
    """
    try:
        yield
    except ConnectionError as error:
        print(f"{command}: {error}", file=sys.stderr)
        raise SystemExit(IO_FAILED) from error
    except (ValueError, OSError) as error:
        refuse(command, error)


def refuse(command: str, reason: object) -> NoReturn:
    """Prints `reason` to stderr and exits with code 2."""
    print(f"{command}: {reason}", file=sys.stderr)
    raise SystemExit(REFUSED)


def interrupted(command: str, after: str = "") -> int:
    """Says on stderr that Ctrl-C stopped a command that can be continued.

    Returns:
      The exit code.
    """
    print(
        f"{command}: interrupted{after}; run the same command again to continue",
        file=sys.stderr,
    )
    return INTERRUPTED


def run(main: Callable[[list[str]], int], argv: list[str]) -> NoReturn:
    """Runs a command and exits with its code.

    Ctrl-C and a closed stdout end it without a traceback, and a character that the
    console cannot encode, in the name of a file for example, is printed as its code.
    Commands that compute are tuned for CPUs (`system.cpu`) and keep what they
    compile (`system.programs`).
    """
    cpu.tune()
    programs.keep()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(main(argv))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(KILLED)
    except BrokenPipeError:
        # What is still in the buffer would raise once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)


def make_parser(command: str, doc: str) -> argparse.ArgumentParser:
    """Returns a parser whose errors are one line and whose help shows defaults.

    Flags are never abbreviated; an unknown one is answered with the nearest.

    Args:
      command: Its name, such as `export` or `stylize fit`.
      doc: The module's docstring: what it does, then details for below the flags.
    """
    return _Parser(command, doc)


class _Parser(argparse.ArgumentParser):
    def __init__(self, command: str, doc: str):
        summary, _, details = doc.partition("\n\n")
        super().__init__(
            f"python -m jigsaw_shape.{command}",
            description=summary,
            epilog=details,
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        self._command = command

    def error(self, message: str) -> NoReturn:
        refuse(self._command, message)

    def parse_args(self, args=None, namespace=None):
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.refuse_unknown(unknown[0])
        if re.match(r"\w{2,}:/", out := str(getattr(found, "out", ""))):
            self.error(f"--out {out}: it is written on a disk: name a place there")
        return found

    def refuse_unknown(self, argument: str) -> NoReturn:
        """Refuses an argument that is not understood, naming the nearest flag."""
        known = list(self._option_string_actions)
        near = difflib.get_close_matches(argument.partition("=")[0], known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        self.error(f"unknown argument {argument}{hint}")


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def _get_help_string(self, action):
        default = action.default
        if default is None or default is False or default in _NO_DEFAULT:
            return action.help
        return f"{action.help or ''} (default %(default)s)"


def make_console(*, quiet: bool = False, soft_wrap: bool = False) -> Console:
    """Returns the console of every command; into a file it writes wider lines.

    Brackets and colons, in names of runs or files, are printed as they are.

    Args:
      quiet: Nothing is printed.
      soft_wrap: Lines are not broken; the terminal wraps them.
    """
    width = None if sys.stdout.isatty() else 120
    return Console(
        width=width,
        quiet=quiet,
        soft_wrap=soft_wrap,
        highlight=False,
        markup=False,
        emoji=False,
    )


@contextlib.contextmanager
def progress_bar(
    label: str,
    total: int | None = None,
    *,
    console: Console | None = None,
    lines: bool = False,
    in_bytes: bool = False,
) -> Iterator[Callable[..., None]]:
    """Yields `update(n_done, note="", total=None)`, which moves a bar on a terminal.

    The bar is gone when the block ends.

    Args:
      label: What is counted, such as `image` or `reading pacs`.
      total: How many there are, where this is known already.
      console: Where to; stderr by default. What is printed meanwhile goes there too.
      lines: Where the console is no terminal, a line is printed for each tenth.
      in_bytes: The counts are bytes, shown as such with their speed.
    """
    console = console or Console(stderr=True, highlight=False)
    counts = [rich.progress.TextColumn("{task.completed}/{task.total}")]
    if in_bytes:
        counts = [rich.progress.DownloadColumn(), rich.progress.TransferSpeedColumn()]
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        *counts,
        rich.progress.BarColumn(bar_width=12),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("left {task.fields[note]}", markup=False),
    )
    with rich.progress.Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(label, total=total or 0, note="")
        n_tenths = 0

        def update(n_done: int, note: str = "", total: int | None = None) -> None:
            nonlocal n_tenths
            bar.update(task, completed=n_done, total=total, note=note)
            total = bar.tasks[task].total
            if lines and not console.is_terminal and total:
                if 10 * n_done // total > n_tenths:
                    console.print(f"{label} {n_done}/{total}  {note}".rstrip())
                n_tenths = 10 * n_done // total

        yield update


def track(
    items: Iterable[_Item], label: str, total: int | None = None
) -> Iterator[_Item]:
    """Yields the items with a bar on stderr; nothing is shown without a terminal.

    Args:
      items: Whatever is iterated over.
      label: What is done, such as `reading pacs`.
      total: How many items there are; `len(items)` by default.
    """
    with progress_bar(label, len(items) if total is None else total) as update:
        for n_done, item in enumerate(items, 1):
            yield item
            update(n_done)


def printable(name: str) -> str:
    """Returns a file's name with a code in place of each byte that is no text."""
    return name.encode(errors="backslashreplace").decode()


def counted(n: int, one: str, several: str = "") -> str:
    """Returns a number with its noun: `1 file`, `2 files`.

    Args:
      n: The number.
      one: What one is called.
      several: What several are called; "" for `one` with an s.
    """
    return f"{n} {one if n == 1 else several or one + 's'}"


def define_flags(argv: Sequence[str]) -> flags.FlagValues:
    """Returns a fresh set of flags with `--config`, for a command to add its own.

    Args:
      argv: The program's name and its arguments, whose `--config.key` become flags.
    """
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        "config",
        None,
        "FILE[:PRESET], such as configs/pacs.py:jigen",
        values,
        sys_argv=list(argv),
    )
    return values


def parse_config(
    command: str, argv: Sequence[str], values: flags.FlagValues, usage: str
) -> ConfigDict:
    """Returns the configuration that `--config FILE[:PRESET]` and its fields name.

    Refuses what does not parse; a misspelt `--config.key` is answered with the nearest
    that exists.

    Args:
      command: For messages.
      argv: The program's name and its arguments.
      values: From `define_flags`, with the command's own flags; parsed here.
      usage: Printed for `--help`, with the flags.
    """
    if {"-h", "--help", "-help"} & set(argv):
        print(f"{usage}\n{values.get_help()}")
        print("  --config.KEY: any field of the configuration, see config.py")
        raise SystemExit(OK)
    where = [
        n for n, a in enumerate(argv) if a.split("=")[0] in ("--config", "-config")
    ]
    fields = [n for n, a in enumerate(argv) if a.startswith("--config.")]
    if not where:
        refuse(command, "--config is missing: give one, such as configs/pacs.py:jigen")
    if fields and fields[0] < where[0]:
        refuse(command, f"--config FILE must stand before {argv[fields[0]]}")
    try:
        rest = values(list(argv))
        config = values.config
        _ = config.preset  # a file that did not load says so only when read
    except (AttributeError, KeyError) as error:
        # Of a field that does not exist; the nearest that does may follow in its text.
        cause = error.args[0]
        text = cause.args[0] if isinstance(cause, Exception) else cause
        field, *hint = str(text).splitlines()
        field = field.strip("'\"")
        refuse(command, ". ".join([f"no field {field!r} in the configuration", *hint]))
    except (flags.Error, TypeError, ValueError) as error:
        message = (str(error.args[0]) if error.args else str(error)).strip()
        if "Traceback" in message:  # of the configuration file; its last line says why
            message = message.splitlines()[-1].removeprefix("ValueError: ")
        refuse(command, " ".join(message.split()))
    except OSError as error:
        reason = str(error).splitlines()[-1].strip()  # above it: where it looked
        refuse(command, f"--config: {reason} (from {os.getcwd()})")
    except Exception as error:  # of the configuration file, which is a program
        refuse(command, f"--config: {type(error).__name__}: {error}")
    if len(rest) > 1:
        refuse(command, f"unknown argument {rest[1]} (flags start with --)")
    return config
