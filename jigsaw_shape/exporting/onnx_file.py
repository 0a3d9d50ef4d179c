"""ONNX files, written node by node, and read by onnxruntime.

The encoder's own computation, traced, is what becomes nodes (`tracing`). Needs the
extra `[onnx]`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jigsaw_shape
from jigsaw_shape.exporting.graph import Graph
from jigsaw_shape.exporting.primitives import OPSET
from jigsaw_shape.exporting.simplify import simplify
from jigsaw_shape.exporting.tracing import INPUT, trace
from jigsaw_shape.system import onnx_session

_IR_VERSION = 8  # the one of opset 17, which every onnxruntime of the extra reads
BATCH = "batch"  # the name of the axis of any length


def refuse_missing(flag: str) -> None:
    """Refuses `flag` where the packages are not installed.

    Raises:
      ValueError: Names the extra.
    """
    onnx_session.refuse_missing(flag, "onnx", "onnxruntime")


def write(
    path: Path,
    function: Callable[[jax.Array], Mapping[str, jax.Array]],
    *,
    shape: tuple[int, int, int],
    dtype: Any,
    metadata: Mapping[str, str],
) -> None:
    """Writes a function of images as an ONNX file whose batch has any size.

    Args:
      path: The file.
      function: Maps images [B, *shape] to named arrays [B, ...], float32.
      shape: H, W, C.
      dtype: Of the images: uint8 or float32.
      metadata: Becomes the model's `metadata_props`.

    Raises:
      ValueError: The function uses a primitive that has no ONNX form here; names it.
    """
    import onnx

    graph = trace(function, shape, dtype)
    simplify(graph)
    model = _to_onnx(graph, shape, dtype)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _to_onnx(graph: Graph, shape: tuple[int, int, int], dtype: Any):
    """Returns a graph as ONNX's own structure, unchecked."""
    from onnx import TensorProto, helper, numpy_helper

    kinds = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
    image = helper.make_tensor_value_info(
        INPUT, kinds[np.dtype(dtype).name], [BATCH, *shape]
    )
    # An output's name is the function's; a graph's own names are its modules' paths.
    names = {tensor.name: name for name, tensor in graph.outputs.items()}
    nodes = [
        helper.make_node(
            node.op,
            [names.get(name, name) for name in node.inputs],
            [names.get(node.output, node.output)],
            name=node.output,
            **node.attributes,
        )
        for node in graph.nodes
    ]
    outputs = [
        helper.make_tensor_value_info(
            name, TensorProto.FLOAT, [BATCH, *tensor.shape[1:]]
        )
        for name, tensor in graph.outputs.items()
    ]
    constants = [
        numpy_helper.from_array(np.asarray(array), name)
        for name, array in graph.constants.items()
    ]
    return helper.make_model(
        helper.make_graph(nodes, "jigsaw_shape", [image], outputs, constants),
        producer_name="jigsaw_shape",
        producer_version=jigsaw_shape.__version__,
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )


def read(
    path: Path, providers: Sequence[str] = ()
) -> tuple[Callable[[np.ndarray], dict[str, np.ndarray]], dict[str, str]]:
    """Returns a file's function of images, as onnxruntime runs it, and its metadata.

    Args:
      path: The file.
      providers: Of onnxruntime, what to run it on, the best first; none: all it has.

    Raises:
      ValueError: The file is no ONNX model that onnxruntime can load.
    """
    session = onnx_session.open_session(path, providers)
    names = [output.name for output in session.get_outputs()]

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, {INPUT: images}), strict=True))

    return predict, dict(session.get_modelmeta().custom_metadata_map)
