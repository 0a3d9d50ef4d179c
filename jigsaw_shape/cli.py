"""What the commands share: refusals in one line, and exit codes."""

import contextlib
import sys
from collections.abc import Iterator, Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

OK = 0
REFUSED = 2  # the request cannot be carried out as it stands
NON_FINITE = 3  # a loss stopped being a number
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


def refuse(command: str, reason: object) -> None:
    """Prints `reason` to stderr and exits with code 2."""
    print(f"{command}: {reason}", file=sys.stderr)
    raise SystemExit(REFUSED)


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
    try:
        rest = values(list(argv))
        config = values.config
        if config is not None:
            _ = config.preset  # a file that did not load says so only when read
    except KeyError as error:
        refuse(command, f"{error.args[0]!r} is no field of the configuration")
    except (flags.Error, AttributeError, TypeError, ValueError) as error:
        message = (str(error.args[0]) if error.args else str(error)).strip()
        if "Traceback" in message:  # of the configuration file; its last line says why
            message = message.splitlines()[-1]
        refuse(command, " ".join(message.split()))
    except OSError as error:
        reason = str(error).splitlines()[-1].strip()  # above it: where it looked
        refuse(command, f"--config: {reason}")
    except Exception as error:  # of the configuration file, which is a program
        refuse(command, f"--config: {type(error).__name__}: {error}")
    if len(rest) > 1:
        refuse(command, f"{' '.join(rest[1:])}: no such argument (flags start with --)")
    if config is None:
        refuse(command, "--config is missing, such as --config configs/pacs.py:jigen")
    return config
