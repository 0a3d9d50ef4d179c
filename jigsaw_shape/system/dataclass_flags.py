"""Dataclasses of settings whose fields are flags of a command."""

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any


def flag(default: Any, meaning: str, **options: Any) -> Any:
    """Returns a dataclass field that is a flag, such as `flag(1.0, "strength")`.

    Args:
      default: Its value without the flag.
      meaning: The flag's help.
      options: Others of `add_argument`, such as `choices` and `metavar`.
    """
    metadata = {"help": meaning, **options}
    return dataclasses.field(default=default, metadata=metadata)


def flag_name(field: str) -> str:
    """Returns the flag of a field: `num_styles` -> `--num-styles`."""
    return f"--{field.replace('_', '-')}"


def add_flags(parser: argparse.ArgumentParser, settings: type) -> None:
    """Adds the flags of a dataclass's fields to a parser."""
    for field in dataclasses.fields(settings):
        how = {"type": type(field.default), "default": field.default}
        if isinstance(field.default, bool):
            how = {"action": "store_true"}
        parser.add_argument(flag_name(field.name), **how, **field.metadata)


def from_flags(settings: type, args: argparse.Namespace) -> Any:
    """Returns the settings that parsed flags ask for."""
    names = [field.name for field in dataclasses.fields(settings)]
    return settings(**{name: getattr(args, name) for name in names})


def refuse_unless(settings: Any, allowed: Mapping[str, tuple[bool, str]]) -> None:
    """Refuses settings that cannot work.

    Args:
      settings: A dataclass.
      allowed: Field -> whether its value is allowed, and which values are.

    Raises:
      ValueError: A value is not allowed; names its flag.
    """
    for name, (is_allowed, what) in allowed.items():
        if not is_allowed:
            value = getattr(settings, name)
            shown = repr(value) if isinstance(value, str) else value
            raise ValueError(f"{flag_name(name)} is {shown}: {what} allowed")
