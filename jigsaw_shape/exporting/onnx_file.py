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
from jigsaw_shape.exporting.format import (
    INPUTS,
    SEVERAL,
    Format,
    Options,
    Program,
    Reference,
    as_function,
    to_metadata,
)
from jigsaw_shape.exporting.graph import Graph
from jigsaw_shape.exporting.primitives import OPSET
from jigsaw_shape.exporting.simplify import simplify
from jigsaw_shape.exporting.tracing import INPUT, trace
from jigsaw_shape.models.network import Network
from jigsaw_shape.system import onnx_session

_IR_VERSION = 8  # the one of opset 17, which every onnxruntime of the extra reads
BATCH = "batch"  # the name of the axis of any length


def write(
    path: Path, network: Network, facts: Mapping[str, Any], options: Options
) -> None:
    """Writes a network as an ONNX file whose batch has any size.

    Args:
      path: The file.
      network: See `format.exportable`.
      facts: Become the file's metadata, each as JSON.
      options: Its `input` is what the program takes.

    Raises:
      ValueError: The encoder uses a primitive that has no ONNX form here; names it.
    """
    metadata = to_metadata({**facts, onnx_session.NORMALIZES_INSIDE: True})
    shape = (network.input_px, network.input_px, 3)
    write_function(path, as_function(network), shape, INPUTS[options.input], metadata)


def write_function(
    path: Path,
    function: Callable[[jax.Array], Mapping[str, jax.Array]],
    shape: tuple[int, int, int],
    dtype: Any,
    metadata: Mapping[str, str],
) -> None:
    """Writes a function of images, which maps [B, *shape] to named arrays [B, ...].

    Args:
      path: The file.
      function: What is traced.
      shape: H, W, C.
      dtype: Of the images: uint8 or float32.
      metadata: Becomes the model's `metadata_props`.
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


def read(path: Path, providers: Sequence[str] = ()) -> Program:
    """Returns a file's program as onnxruntime runs it.

    Args:
      path: The file.
      providers: Of onnxruntime, what to run it on, the best first; none: all it has.

    Raises:
      ValueError: The file is no ONNX model that onnxruntime can load.
    """
    session = onnx_session.open_session(path, providers)
    names = [output.name for output in session.get_outputs()]
    (images,) = session.get_inputs()

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, {INPUT: images}), strict=True))

    dtype = np.uint8 if images.type == "tensor(uint8)" else np.float32
    return Program(predict, None, images.shape[1], dtype)


def _difference(path: Path, reference: Reference) -> float:
    program = read(path, ["CPUExecutionProvider"])
    return reference.program_difference(program.predict, (1, SEVERAL))


FORMAT = Format(
    lambda options: ["model.onnx"],
    write,
    _difference,
    read,
    ".onnx",
    is_program=True,
    refuse_missing=lambda flag: onnx_session.refuse_missing(
        flag, "onnx", "onnxruntime"
    ),
)
