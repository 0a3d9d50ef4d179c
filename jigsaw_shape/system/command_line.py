"""What the commands share: refusals in one line, and exit codes."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from absl import flags
from ml_collections import ConfigDict, config_flags
from rich.console import Console

OK = 0
REFUSED = 2  # the request cannot be carried out as it stands
IO_FAILED = 74  # EX_IOERR: a file cannot be read or written on the way
NON_FINITE = 3  # a loss stopped being a number
UNREAD = 141  # who was to read what is printed has gone, such as `head`
KILLED = 130  # Ctrl-C where there is nothing to save
INTERRUPTED = 75  # EX_TEMPFAIL: stopped on request, saved; run it again to go on


@contextlib.contextmanager
def refusals(command: str) -> Iterator[None]:
    """Turns a `ValueError` or `OSError` inside into its message and exit code 2.

    For what happens at the door (flags, configuration, data, weights), where such
    errors speak to the user; not for computation, where they are faults of ours.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        refuse(command, error)


def run(main: Callable[[list[str]], int], argv: list[str]) -> NoReturn:
    """Runs a command and exits with its code; Ctrl-C ends it without a traceback."""
    try:
        sys.exit(main(argv))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(KILLED)
    except BrokenPipeError:
        # What is still in the buffer would raise once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)


def refuse(command: str, reason: object) -> None:
    """Prints `reason` to stderr and exits with code 2."""
    print(f"{command}: {reason}", file=sys.stderr)
    raise SystemExit(REFUSED)


def make_console(*, quiet: bool = False, soft_wrap: bool = False) -> Console:
    """Returns the console of every command; into a file it writes wider lines.

    It takes brackets and colons in names, of runs or files, for what they are. (A
    progress bar reads markup nevertheless.)

    Args:
      quiet: Nothing is printed.
      soft_wrap: Lines are as long as they are, which a terminal wraps.
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


def printable(name: str) -> str:
    """Returns a file's name without the bytes that are no text in it."""
    return name.encode(errors="backslashreplace").decode()


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
        refuse(command, "--config is missing, such as --config configs/pacs.py:jigen")
    if fields and fields[0] < where[0]:
        refuse(command, f"put --config FILE before {argv[fields[0]]}")
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
        refuse(command, f"{' '.join(rest[1:])}: no such argument (flags start with --)")
    return config
