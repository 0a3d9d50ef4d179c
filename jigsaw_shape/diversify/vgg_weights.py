"""VGG's convolutions up to relu4_1, out of the files in which people have them."""

import re
from pathlib import Path

import numpy as np

from jigsaw_shape.diversify.adain import Layer, Stages
from jigsaw_shape.models import IMAGENET_MEAN, IMAGENET_STD
from jigsaw_shape.models.weights.rename_tables import CAFFE_MEAN
from jigsaw_shape.models.weights.torch_file import read_torch_file
from jigsaw_shape.models.weights.weight_files import read_keras_file

_LAST_STAGE = 4  # conv4_1 is where AdaIN happens
_WIDTHS = (64, 128, 256, 512)

# What a file's first layer expects of RGB pixels p in [0, 1]: `matrix @ p + offset`.
_MEAN, _STD = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
PIXELS = {
    "torchvision": (np.diag(1 / _STD), -_MEAN / _STD),
    # Blue comes first.
    "caffe": (255 * np.eye(3)[::-1], -255 * np.array(CAFFE_MEAN)[::-1]),
}


def read_vgg(path: Path, pixels: str = "") -> Stages:
    """Returns conv1_1 to conv4_1 of a VGG-16 or VGG-19, for RGB in [0, 1].

    Known are state dicts of torchvision and timm and Caffe's weights under the same
    names (`.pth`, `features.N.weight`), AdaIN's `vgg_normalised.pth`, and Keras'
    `.h5` files, which need `h5py`, with Caffe's weights or others trained from them.

    Args:
      path: The file.
      pixels: What the network was trained on, `torchvision` (standardized RGB) or
        `caffe` (BGR in 0 to 255 without its mean); empty: `caffe` for `.h5` files,
        else `torchvision`. `vgg_normalised.pth` says it itself, in a first layer.

    Raises:
      ValueError: Not a file of these kinds, or not of this network.
    """
    if pixels and pixels not in PIXELS:
        raise ValueError(f"pixels are {pixels!r}: {' | '.join(PIXELS)} allowed")
    is_keras = path.suffix == ".h5"
    convolutions = _keras(path) if is_keras else torch_convolutions(path)
    if convolutions and convolutions[0][0].shape[:2] == (1, 1):
        kernel, bias = convolutions.pop(0)
        matrix, offset = kernel[0, 0].T, bias
    else:
        matrix, offset = PIXELS[pixels or ("caffe" if is_keras else "torchvision")]
    return _stages(convolutions, matrix, offset, path)


def layer(kernel: np.ndarray, bias: np.ndarray) -> Layer:
    """Returns a layer of float32 arrays."""
    return {
        "kernel": np.ascontiguousarray(kernel, np.float32),
        "bias": np.ascontiguousarray(bias, np.float32),
    }


def _stages(convolutions, matrix, offset, path: Path) -> Stages:
    """Returns the layers up to conv4_1 by stage, the first folded with the pixels'."""
    kernel, bias = convolutions[0] if convolutions else (np.zeros(0), None)
    if kernel.shape != (3, 3, 3, _WIDTHS[0]):
        raise ValueError(
            f"{path} is not a VGG: its first convolution is {list(kernel.shape)}, "
            f"expected [3, 3, 3, {_WIDTHS[0]}]"
        )
    # Reflected at the border, pixels may be transformed before or after: exact.
    bias = bias + np.einsum("yxio,i->o", kernel, offset)
    kernel = np.einsum("yxjo,ji->yxio", kernel, matrix)
    stages = [[(kernel, bias)]]
    for kernel, bias in convolutions[1:]:
        n_in, n_out = kernel.shape[2:]
        if n_out != n_in:
            stages.append([])
        stages[-1].append((kernel, bias))
        if len(stages) == _LAST_STAGE:
            break
    widths = tuple(stage[-1][0].shape[-1] for stage in stages)
    depths = tuple(len(stage) for stage in stages)
    if widths != _WIDTHS or depths not in ((2, 2, 3, 1), (2, 2, 4, 1)):
        raise ValueError(
            f"{path} is neither VGG-16 nor VGG-19: stages of {depths} layers and "
            f"{widths} channels up to the fourth"
        )
    return tuple(tuple(layer(*pair) for pair in stage) for stage in stages)


def torch_convolutions(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the convolutions of a `torch.nn.Sequential`'s state dict, in order.

    Args:
      path: A `.pth` file with weights `N.weight` or, in a VGG, `features.N.weight`.

    Returns:
      Kernels float [k, k, C, F] and biases float [F].

    Raises:
      ValueError: The file cannot be read, or a weight is not a biased convolution's.
    """
    state = read_torch_file(path)
    found = {}
    for name, kernel in state.items():
        match = re.fullmatch(r"(?:features\.)?(\d+)\.weight", name)
        if match is None:
            continue
        bias = state.get(name.removesuffix("weight") + "bias")
        if kernel.ndim != 4 or bias is None:
            raise ValueError(
                f"{path}: {name} {list(kernel.shape)} is not a biased convolution's "
                "(a VGG with BatchNorm cannot be used)"
            )
        found[int(match[1])] = kernel.transpose(2, 3, 1, 0), bias
    return [found[position] for position in sorted(found)]


def _keras(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns kernels HWIO and biases of the blocks in a Keras weights file."""
    found = {}
    for name, array in read_keras_file(path).items():
        match = re.match(r"block(\d+)_conv(\d+)\.", name)
        if match is not None:
            position = int(match[1]), int(match[2])
            found.setdefault(position, {})[array.ndim] = array
    complete = all({1, 4} <= arrays.keys() for arrays in found.values())
    if not found or not complete:
        raise ValueError(f"{path} holds no convolutions named block1, block2, ...")
    return [(found[p][4], found[p][1]) for p in sorted(found)]
