"""What is done with weights outside of training: measured, and written as a run."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from jigsaw_shape.runs import fingerprint, logbook, rows
from jigsaw_shape.runs.file_names import CONFIG, STARTS
from jigsaw_shape.system import devices, whole_files
from jigsaw_shape.training import averaging, initial_weights, loop, run_data
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import predict as predict_lib
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.checkpoints import Checkpoints
from jigsaw_shape.training.evaluation import evaluate_run
from jigsaw_shape.training.timetable import RunLength, make_timetable


class Workshop:
    """The data and the learner of a run, to make statistics anew and to evaluate."""

    def __init__(self, config: ConfigDict, *, to_train: bool = False):
        """Reads the run's data.

        Args:
          config: A run's.
          to_train: Whether training images are needed too, as for statistics: then
            those without labels are read.

        Raises:
          ValueError: The data are not those that it was trained on, or are missing.
          OSError: An image cannot be read.
        """
        self._config = config
        dataset, splits = run_data.load_again(config)
        if to_train or max(config.losses.domain, config.losses.cdann) > 0:
            dataset, splits = run_data.add_unlabelled(config, dataset, splits)
        self._store, self._cue_conflict = run_data.open_images(config, dataset)
        self._splits = splits
        self.sources, self.dataset_name = splits.sources, dataset.name
        self.learner = learner_lib.make_learner(
            config, len(dataset.classes), len(dataset.domains)
        )

    def initial_variables(self) -> dict[str, Any]:
        """Returns the weights that the run began with.

        Raises:
          ValueError: They were random, or cannot be found.
        """
        config = self._config
        pretrained = initial_weights.load(config)
        if pretrained is None:
            raise ValueError(
                f"--from-initial: {config.workdir} began with random weights, between "
                "which and the trained ones there is nothing: leave it out"
            )
        found = learner_lib.init_variables(config, self.learner.model, pretrained)
        return jax.device_get(found)

    def remake_statistics(
        self, variables: dict[str, Any], n_batches: int
    ) -> dict[str, Any]:
        """Returns the variables with BatchNorm's statistics of training images.

        They are the plain means of the statistics of so many batches, seen as in
        training; of variances the unbiased ones, as in PyTorch. (Izmailov et al., UAI
        2018, section 3.2, take one pass.)
        """
        config, learner = self._config, self.learner
        # Where BatchNorm keeps nothing, a step returns the statistics of its own batch.
        encoder = learner.model.encoder.clone(norm_momentum=0.0)
        average = averaging.Average()
        per_epoch = len(self._splits.learned) // config.data.batch_size
        length = RunLength(n_batches, per_epoch, frozenset())
        still = optax.set_to_zero()
        state = step_lib.init_state(
            jax.tree.map(np.copy, variables),
            still,
            learner_lib.step_rng(config),
            average,
            learner.losses,
        )
        update = step_lib.make_update(
            learner.model.clone(encoder=encoder),
            still,
            learner.losses,
            learner.view,
            learner.make_edit,
            average,
            reversal=learner.reversal,
            mix=learner.mix,
            reread=learner.reread,
            remat=config.model.remat,
        )
        dataset = self._store.dataset
        styling, _ = run_data.load_styling(config, dataset, self._splits)
        styling = devices.replicate(styling)
        chunks = loop.training_chunks(config, self._store, self._splits, length, 0)
        rates = averaging.simple_rates(n_batches, start=0)
        timetable = make_timetable(config, length)._replace(average_rate=rates)
        for step, batch in enumerate(self._store.batches(chunks)):
            batch, now = devices.shard(batch), timetable.at(step)
            state, _ = update(state, self._store.bank, styling, batch, now)
        return {**variables, "batch_stats": jax.device_get(state.ema["batch_stats"])}

    def evaluate(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Returns what a training run measures at an evaluation."""
        config, learner = self._config, self.learner
        predict_fn = predict_lib.make_predict_fn(
            learner_lib.make_predict(config, learner), devices.replicate(variables)
        )
        return dict(
            evaluate_run(
                predict_fn,
                self._store,
                self._splits,
                batch_size=config.eval.batch_size,
                permutations=learner.permutations if learner.solves_puzzles else None,
                jigsaw=config.jigsaw,
                cue_conflict=self._cue_conflict,
            )
        )


def write(
    out: pathlib.Path,
    config: ConfigDict,
    variables: dict[str, Any],
    measures: dict[str, Any],
    *,
    step: int,
    epoch: float,
    dataset: str,
    sources: Sequence[str],
    about: dict[str, Any],
) -> list[dict]:
    """Writes a run's directory with one checkpoint; returns its result rows.

    What opens runs opens it: `evaluate`, `export`, `embed`, `report`.

    Args:
      out: New, or empty.
      config: What the run says it is of; `config.preset` names the average.
      variables: `params` and `batch_stats`.
      measures: Of an evaluation.
      step: Of the checkpoint.
      epoch: At that step.
      dataset: Name of the data set.
      sources: Names of the source domains.
      about: What was averaged, for `run.json`.
    """
    out.mkdir(parents=True, exist_ok=True)
    first = json.loads((pathlib.Path(about["runs"][0]) / STARTS).read_text())
    start = {**first["starts"][0], **logbook.circumstances(), "averaged": about}
    whole_files.write_text(out / STARTS, json.dumps({"starts": [start]}, indent=2))
    whole_files.write_text(out / CONFIG, fingerprint.to_json(config))
    state = step_lib.init_state(variables, optax.identity(), jax.random.key(0), None)
    with Checkpoints(out / "checkpoints") as checkpoints:
        checkpoints.save(state.replace(step=np.int32(step)), measures)
    row = {"kind": "eval", "step": step, "epoch": epoch, **measures}
    identity = rows.identity(config, dataset, sources, fingerprint.digest(config))
    results = rows.results(identity, [row])
    with logbook.Logbook(out, resume_step=step, tensorboard=False) as book:
        book.write("eval", step, {"epoch": epoch, **measures})
        for result in results:
            book.write("result", step, result)
    return results
