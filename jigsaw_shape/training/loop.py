"""The loop of a run: steps, rows, evaluations, checkpoints, and how it stops."""

import contextlib
import math
import pathlib
import signal
import time
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from jigsaw_shape.data.image_store import ImageStore, epoch_order
from jigsaw_shape.data.splits import Splits
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.runs.logbook import Logbook
from jigsaw_shape.system import devices
from jigsaw_shape.training import averaging
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import optimizer as optimizer_lib
from jigsaw_shape.training import predict as predict_lib
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.checkpoints import Checkpoints
from jigsaw_shape.training.evaluation import evaluate_run
from jigsaw_shape.training.progress import Progress
from jigsaw_shape.training.sharpness import make_sharpness


class NonFiniteError(RuntimeError):
    """A loss, the gradient or the weights are infinite or not a number."""


class InterruptedRunError(RuntimeError):
    """The run was asked to stop, and is saved."""


def run(
    config: ConfigDict,
    directory: pathlib.Path,
    *,
    learner: learner_lib.Learner,
    variables: dict,
    length: learner_lib.RunLength,
    store: ImageStore,
    splits: Splits,
    cue_conflict: ImageStore | None,
    styling: Styling,
    progress: Progress,
) -> predict_lib.PredictFn:
    """Trains to the end of the run, going on from the latest checkpoint.

    Returns the prediction of the last state, see `predict.make_predict_fn`.

    Args:
      config: The run's configuration.
      directory: Where rows and checkpoints go.
      learner: See `learner.make_learner`.
      variables: The first weights, unless there is a checkpoint.
      length: See `learner.run_length`.
      store: The images.
      splits: Which of them are for what.
      cue_conflict: Images whose shape and texture disagree, if the data set has any.
      styling: See `run_data.load_styling`; on every device.
      progress: What the person at the terminal sees.

    Raises:
      NonFiniteError: Names the step and the term; the last checkpoint is good.
      InterruptedRunError: SIGTERM or Ctrl-C came; the state is saved.
    """
    optimizer = optimizer_lib.make_optimizer(config, length.n_steps)
    rate = averaging.make_rate(
        config, length.n_steps, length.steps_per_epoch, length.evaluate_at
    )
    state = step_lib.init_state(
        variables,
        optimizer,
        learner_lib.step_rng(config),
        rate is not None,
        learner.losses,
    )
    update = step_lib.make_update(
        learner.model,
        optimizer,
        learner.losses,
        learner.view,
        length.n_steps,
        learner.make_edit,
        rate,
        learner.reversal,
        learner.mix,
        learner.reread,
        make_sharpness(config.optim),
    )
    predict = learner_lib.make_predict(config, learner)

    def predict_with(state):
        return predict_lib.make_predict_fn(
            predict, devices.shard, state.variables, config.eval.batch_size
        )

    def evaluate(state):
        return dict(
            evaluate_run(
                predict_with(state),
                store,
                splits,
                batch_size=config.eval.batch_size,
                permutations=learner.permutations if learner.solves_puzzles else None,
                jigsaw=config.jigsaw,
                cue_conflict=cue_conflict,
            )
        )

    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(
            Checkpoints(
                directory / "checkpoints", keep_evaluated=config.log.keep_evaluated
            )
        )
        first = saved = checkpoints.latest_step or 0
        if first:
            state = checkpoints.restore(state)
        logbook = stack.enter_context(
            Logbook(
                directory,
                resume_step=first,
                tensorboard=config.log.tensorboard,
                is_writer=jax.process_index() == 0,
            )
        )
        stop_signal = stack.enter_context(_StopSignal())
        watch = _Watch(config, length, logbook, progress, first)
        chunks = training_chunks(config, store, splits, length, first)
        for step, batch in enumerate(store.batches(chunks), start=first + 1):
            state, means = update(state, store.bank, styling, devices.shard(batch))
            watch.add(step, means)
            if step in length.evaluate_at:
                watch.flush()
                measures = evaluate(state)
                watch.evaluated(step, measures)
                checkpoints.save(state, measures)
                watch.resume()
                saved = step
            elif _divides(config.log.checkpoint_every_steps, step):
                watch.flush()
                checkpoints.save(state)
                watch.resume()
                saved = step
            if stop_signal.came(step):
                if saved != step:
                    watch.flush()
                    checkpoints.save(state)
                raise InterruptedRunError(f"stopped at step {step}, which is saved")
    return predict_with(state)


def training_chunks(
    config: ConfigDict,
    store: ImageStore,
    splits: Splits,
    length: learner_lib.RunLength,
    first: int,
) -> Iterator[np.ndarray]:
    """Yields the image indices of each batch after step `first`, to the run's end."""
    size, per_epoch = config.data.batch_size, length.steps_per_epoch
    order = None
    for step in range(first, length.n_steps):
        epoch, position = divmod(step, per_epoch)
        if order is None or position == 0:
            order = epoch_order(
                store.dataset.domain,
                splits.learned,
                seed=config.seed,
                epoch=epoch,
                sampling=config.data.sampling,
            )
        yield order[position * size : (position + 1) * size]


class _Watch:
    """Collects the means of steps, checks that they are finite, and writes rows."""

    def __init__(self, config, length, logbook, progress, first):
        self._config, self._length = config, length
        self._logbook, self._progress = logbook, progress
        self._lr = optimizer_lib.learning_rate(config, length.n_steps)
        self._pending = []
        self._domain_accuracy = {}  # of the latest row
        self._since = None  # unknown until the first step has compiled
        progress.start(first, length.n_steps)

    def add(self, step, means):
        self._pending.append((step, means))
        if self._since is None:
            jax.block_until_ready(means)
            self._since = (step, time.perf_counter())
        if _divides(self._config.log.every_steps, step):
            self.flush()

    def flush(self):
        """Writes what is pending: a row, and the progress bar; checks the losses."""
        if not self._pending:
            return
        fetched = [(step, jax.device_get(means)) for step, means in self._pending]
        self._pending = []
        for step, means in fetched:
            for name, mean in means.items():
                checked = name.startswith(("loss/", "norm/"))
                if checked and not math.isfinite(mean.total):
                    raise NonFiniteError(
                        f"{name} is {float(mean.total)} at step {step}: lower "
                        f"--config.optim.lr={self._config.optim.lr} and use a new "
                        "--workdir; the checkpoints here are from before that step"
                    )
        step = fetched[-1][0]
        merged = fetched[0][1]
        for _, means in fetched[1:]:
            merged = {name: merged[name].merge(means[name]) for name in merged}
        values = {
            name: float(mean.compute())
            for name, mean in merged.items()
            if mean.count > 0  # a window may hold no shuffled image
        }
        values["epoch"] = step / self._length.steps_per_epoch
        values["lr"] = float(f"{float(self._lr(step - 1)):.6g}")
        began_step, began_s = self._since
        if step > began_step:
            elapsed_s = time.perf_counter() - began_s
            images = (step - began_step) * self._config.data.batch_size
            values["images_per_s"] = images / elapsed_s
        self._since = (step, time.perf_counter())
        if "accuracy/domain" in values:
            self._domain_accuracy = {"train/domain_accuracy": values["accuracy/domain"]}
        self._logbook.write("train", step, values)
        self._progress.trained(step, values)

    def evaluated(self, step, measures):
        epoch = step / self._length.steps_per_epoch
        measures = {**measures, **self._domain_accuracy}
        self._logbook.write("eval", step, {"epoch": epoch, **measures})
        self._progress.evaluated(step, epoch, measures)

    def resume(self):
        """Restarts the clock of the training speed after an evaluation or a save."""
        self._since = (self._since[0], time.perf_counter())


def _divides(every: int, step: int) -> bool:
    return every > 0 and step % every == 0


class _StopSignal:
    """Notes SIGTERM and the first Ctrl-C, so that the loop stops between steps."""

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        self._came = False

    def __enter__(self):
        # With several processes JAX handles signals, see `came`.
        signals = self._SIGNALS if jax.process_count() == 1 else ()
        self._previous = {s: signal.signal(s, self._remember) for s in signals}
        return self

    def __exit__(self, *exc_info):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, *_):
        self._came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one kills

    def came(self, step: int) -> bool:
        """Returns whether to stop after `step`: in every process, or in none."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._came
