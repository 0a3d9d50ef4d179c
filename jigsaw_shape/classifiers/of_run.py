"""A training run's directory as a classifier; it is only read."""

import pathlib

import jax

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.of_network import of_network
from jigsaw_shape.data.decoding import background_of
from jigsaw_shape.models.build import build_model, stored_heads
from jigsaw_shape.models.multitask import edges_head, init_variables, jigsaw_head
from jigsaw_shape.models.network import Network
from jigsaw_shape.pixels import puzzle, shortcuts
from jigsaw_shape.runs import directory as directory_lib
from jigsaw_shape.runs import rows, stored_weights

ADAPTATION = "adaptation"  # the target's images were trained on, without labels


def open_run(
    directory: pathlib.Path, *, selection: str, name: str, batch_size: int
) -> Classifier:
    """Returns a run's network at the checkpoint that a rule picks.

    Args:
      directory: Of the run.
      selection: A key of `rows.RULES`.
      name: For rows.
      batch_size: See `of_network`.

    Raises:
      ValueError: It is no run, has no evaluation yet or no such checkpoint, or its
        checkpoint does not fit its configuration.
    """
    if selection not in rows.RULES:
        raise ValueError(f"--selection is {selection!r}: {', '.join(rows.RULES)}")
    config = directory_lib.read_config(directory)
    chosen = rows.select(directory_lib.read_evaluations(directory), selection)
    step = chosen["step"]
    try:
        variables = stored_weights.read_variables(directory / "checkpoints", step)
    except ValueError as error:
        raise ValueError(f"{selection}: {error}") from error
    heads, permutations = stored_heads(variables["params"]), None
    if "jigsaw" in heads:
        permutations = puzzle.permutation_set(
            config.jigsaw.grid, config.jigsaw.n_permutations, config.jigsaw.seed
        )
        heads["jigsaw"] = jigsaw_head(config.jigsaw, permutations)
    if "edges" in heads:
        heads["edges"] = edges_head(config.edges)
    network = Network(
        encoder=config.model.encoder,
        module=build_model(config, heads),
        variables=variables,
        classes=rows.class_names(chosen),
        size_px=config.data.image_size,
        input_px=config.data.stored_px,
    )
    _refuse_misfits(directory, network)
    adapted = config.data.get("setting") == ADAPTATION
    return of_network(
        network,
        name=name,
        batch_size=batch_size,
        permutations=permutations,
        grid=0 if permutations is None else config.jigsaw.grid,
        close_shortcuts=shortcuts.at_evaluation(config.jigsaw),
        config=config,
        background=background_of(config.data),
        about={
            "weights": f"{directory.resolve().name}, step {step} ({selection})",
            "encoder": config.model.encoder,
            "preset": config.preset,
            "dataset": config.data.name,
            "images": directory_lib.read_images(directory),
            "target": config.data.target,
            "sources": config.data.sources,
            **({"setting": ADAPTATION} if adapted else {}),
            "seed": config.seed,
            "selection": selection,
            "step": step,
            "image_size": config.data.image_size,
        },
    )


def _refuse_misfits(directory: pathlib.Path, network: Network) -> None:
    """Refuses a checkpoint of other shapes than the configuration's network."""
    shapes = jax.eval_shape(
        lambda: init_variables(network.module, jax.random.key(0), network.size_px)
    )
    wanted, found = (
        {
            jax.tree_util.keystr(path): tuple(leaf.shape)
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        }
        for tree in (dict(shapes), dict(network.variables))
    )
    if network.classifier is not None:  # whose width is that of the checkpoint
        key = "['params']['head_classification']['bias']"
        wanted[key] = (len(network.classes),)
    odd = [key for key in {**wanted, **found} if wanted.get(key) != found.get(key)]
    if odd:
        raise ValueError(
            f"{directory}: its checkpoint does not fit its config.json: {odd[0]} is "
            f"{found.get(odd[0], 'missing')}, expected {wanted.get(odd[0], 'nothing')}"
        )
