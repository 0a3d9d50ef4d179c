"""Foreign checkpoints into Flax variables, by the tables of `rename_tables.py`."""

import dataclasses
import fnmatch
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jigsaw_shape.models import ENCODERS, EncoderSpec, Triple, encoder_spec
from jigsaw_shape.models.weights.locate import CONFIG, Flags, locate, shipped
from jigsaw_shape.models.weights.rename_tables import CAFFE_MEAN, KERAS
from jigsaw_shape.models.weights.renames import Path, Renamed, from_foreign
from jigsaw_shape.models.weights.weight_files import WeightFile, read_weight_file

# This project's own names: `params/conv1/kernel`; of files that it writes itself.
_OWN = ("params/", "batch_stats/", "classifier/")


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """An encoder's weights, and what belongs to them.

    Attributes:
      variables: `params` and `batch_stats` as far as they were read, float32 NumPy
        arrays: the whole tree but for what was to be skipped.
      classifier: The checkpoint's own, `{"kernel": [F, n], "bias": [n]}`; None where it
        has none.
      mean: What they expect subtracted from RGB in [0, 1]; None where the checkpoint
        does not say.
      std: What they expect the difference divided by; None likewise.
      facts: What else their file says of them, in JSON's types, such as the data set
        and the target of their run; often nothing.
    """

    variables: dict[str, Any]
    classifier: dict[str, np.ndarray] | None
    mean: Triple | None
    std: Triple | None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def merged(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Returns these weights, and of `variables` what was not read."""
        own = traverse_util.flatten_dict(self.variables)
        rest = traverse_util.flatten_dict(dict(variables), keep_empty_nodes=True)
        return traverse_util.unflatten_dict(rest | own)


def load_pretrained(
    init: str,
    encoder: str,
    variables: Mapping[str, Any] | None = None,
    skip: Sequence[str] = (),
    flags: Flags = CONFIG,
) -> Pretrained:
    """Returns a foreign checkpoint as an encoder's variables.

    Args:
      init: What `locate.locate` takes, such as `torchvision:resnet18.IMAGENET1K_V1` or
        a file; what is in the file, `weight_files.read_weight_file` says.
      encoder: A name in `ENCODERS`.
      variables: That encoder's `params` and `batch_stats`, arrays or their shapes; None
        for those of `ENCODERS`.
      skip: Patterns (`fnmatch`) of entries that are not read: of their Flax path, such
        as `dense6/*`, or of their name in the checkpoint.
      flags: The user's flags for these, for messages.

    Raises:
      ValueError: There are no such weights, or they are not this encoder's; then the
        message lists every entry that is missing, extra, misshapen or not finite.
    """
    spec = encoder_spec(encoder, flags.encoder)
    named, of_encoder = f"{flags.weights}={init!r}", f"{flags.encoder}={encoder!r}"
    path, located = locate(init, encoder, flags)
    stated = located.get("architecture")
    if stated is not None and spec.architecture != stated:
        raise ValueError(
            f"{named} has weights of {stated}, and {of_encoder} is "
            f"{spec.architecture or 'not in timm'}: change one of them"
        )
    file = read_weight_file(path)
    if file.facts.get("encoder", encoder) != encoder:
        raise ValueError(
            f"{named} has weights of {file.facts['encoder']!r}, not of {of_encoder}: "
            "change one of them"
        )
    try:
        arrays = renamed(file, encoder)
    except ValueError as error:
        raise ValueError(f"{named}: {error}") from error
    pixels = _pixels(arrays, {**located, **file.facts})
    fitted = fit(init, encoder, arrays, pixels, variables, skip, flags)
    return dataclasses.replace(fitted, facts=file.facts)


def encoder_of(name: str, flags: Flags = CONFIG) -> str:
    """Returns the encoder that published weights are of.

    Args:
      name: One of `locate.shipped`; such as `torchvision:resnet50.IMAGENET1K_V2`; with
        timm's name of an architecture, `timm:vit_small_patch16_224.augreg_in1k`; or
        `hub:OWNER/NAME`, whose description is fetched.
      flags: The user's flags, for messages.

    Returns:
      A name in `ENCODERS`, or what the name says where that is none.
    """
    if name in shipped():
        return read_weight_file(shipped()[name]).facts["encoder"]
    kind, _, named = name.partition(":")
    named = named.split(".")[0]
    if kind == "hub":
        _, facts = locate(name, "", flags)
        named = facts.get("architecture", named)
    architectures = {s.architecture: n for n, s in ENCODERS.items() if s.architecture}
    return named if named in ENCODERS else architectures.get(named, named)


def fit(
    init: str,
    encoder: str,
    renamed: Renamed,
    pixels: tuple[Triple | None, Triple | None] = (None, None),
    variables: Mapping[str, Any] | None = None,
    skip: Sequence[str] = (),
    flags: Flags = CONFIG,
) -> Pretrained:
    """Returns arrays under Flax's paths as an encoder's weights, if they are all there.

    Args:
      init: Where they come from, for messages.
      encoder: A name in `ENCODERS`.
      renamed: The arrays.
      pixels: Mean and standard deviation that they expect.
      variables: As in `load_pretrained`.
      skip: As there.
      flags: As there.

    Raises:
      ValueError: They are not this encoder's; lists the differences.
    """
    wanted = traverse_util.flatten_dict(dict(variables or encoder_shapes(encoder)))

    def skipped(path: Path, name: str | None = None) -> bool:
        texts = {"/".join(path), "/".join(path[1:]), name or ""}
        return any(fnmatch.fnmatchcase(text, p) for text in texts for p in skip)

    found = {
        path: array
        for path, array in renamed.arrays.items()
        if not skipped(path, renamed.names.get(path))
    }
    wanted = {
        path: array
        for path, array in wanted.items()
        if not skipped(path, renamed.names.get(path))
    }
    problems = [f"missing {'/'.join(path)}" for path in wanted if path not in found]
    problems += [f"extra {name}" for name in renamed.extra if not skipped((name,))]
    problems += [f"extra {'/'.join(path)}" for path in found if path not in wanted]
    for path, array in wanted.items():
        name, needed = "/".join(path), tuple(array.shape)
        shape = found[path].shape if path in found else needed
        if shape != needed:
            problems.append(f"misshapen {name}: {shape}, expected {needed}")
        elif path in found and not np.isfinite(found[path]).all():
            problems.append(f"not finite {name}")
    if problems:
        hint = flags.skip and (
            f". Entries that {flags.skip} matches are not read: for example "
            f"--{flags.skip}='fc6*,*.bias'"
        )
        raise ValueError(
            f"{flags.weights}={init!r} does not fit {flags.encoder}={encoder!r}: "
            f"{'; '.join(problems)}{hint}"
        )
    complete = {"kernel", "bias"} <= renamed.classifier.keys()
    return Pretrained(
        traverse_util.unflatten_dict(found),
        dict(renamed.classifier) if complete else None,
        *pixels,
    )


def encoder_shapes(encoder: str) -> dict[str, Any]:
    """Returns the shapes of an encoder's variables, whatever the images' size."""
    return _shapes(encoder_spec(encoder, CONFIG.encoder))


@functools.cache  # tracing a deep encoder takes seconds
def _shapes(spec: EncoderSpec) -> dict[str, Any]:
    module, images = spec.build(), jnp.zeros((1, 64, 64, 3))
    return jax.eval_shape(
        lambda key: module.init(key, images, False), jax.random.key(0)
    )


def triple(values: Any, what: str) -> Triple:
    """Returns three finite numbers, one for each channel.

    Raises:
      ValueError: They are not; says which.
    """
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 3 or not np.isfinite(numbers).all():
        raise ValueError(f"{what} is {values!r}, expected three finite numbers")
    return numbers


def renamed(file: WeightFile, encoder: str) -> Renamed:
    """Returns a file's arrays under the paths of an encoder.

    Raises:
      ValueError: No library has names for it, or an array is not of floating point.
    """
    if file.arrays and all(name.startswith(_OWN) for name in file.arrays):
        return own(file.arrays)
    family = ENCODERS[encoder].family
    if family is None:
        raise ValueError(
            f"{encoder!r} has no weights of other libraries: give a run's folder, or a "
            "file that `python -m jigsaw_shape.export` wrote"
        )
    return from_foreign(family, file.arrays)


def own(arrays: Mapping[str, np.ndarray]) -> Renamed:
    """Returns arrays by this project's own names, such as `params/conv1/kernel`.

    A classifier's are `classifier/kernel` and `classifier/bias`.

    Raises:
      ValueError: An array is not of floating point.
    """
    found, classifier = {}, {}
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, np.floating):
            raise ValueError(f"{name} is of {array.dtype.name}: floating point allowed")
        path, array = tuple(name.split("/")), np.asarray(array, np.float32)
        if path[0] == "classifier":
            classifier[path[-1]] = array
        else:
            found[path] = array
    names = {path: "/".join(path) for path in found}
    return Renamed("jigsaw_shape", found, classifier, [], names)


def _pixels(
    renamed: Renamed, facts: Mapping[str, Any]
) -> tuple[Triple | None, Triple | None]:
    if renamed.library == KERAS:
        return CAFFE_MEAN, (1 / 255,) * 3
    if "mean" not in facts or "std" not in facts:
        return None, None
    return tuple(
        triple(facts[name], f"the weights' {name}") for name in ("mean", "std")
    )
