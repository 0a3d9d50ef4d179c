"""The loop of a run: steps, rows, evaluations, checkpoints, and how it stops."""

import contextlib
import os
import pathlib
import signal
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from jigsaw_shape.data.image_store import ImageStore, epoch_order
from jigsaw_shape.data.splits import Splits
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.runs.logbook import Logbook
from jigsaw_shape.system import command_line, devices, peers, programs
from jigsaw_shape.training import averaging
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import optimizer as optimizer_lib
from jigsaw_shape.training import predict as predict_lib
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.checkpoints import Checkpoints
from jigsaw_shape.training.evaluation import evaluate_run
from jigsaw_shape.training.progress import Progress
from jigsaw_shape.training.sharpness import make_sharpness
from jigsaw_shape.training.timetable import Now, RunLength, make_timetable
from jigsaw_shape.training.watch import Watch, divides


class InterruptedRunError(RuntimeError):
    """The run was asked to stop, and is saved."""


def run(
    config: ConfigDict,
    directory: pathlib.Path,
    *,
    learner: learner_lib.Learner,
    variables: dict,
    length: RunLength,
    store: ImageStore,
    splits: Splits,
    cue_conflict: ImageStore | None,
    styling: Styling,
    progress: Progress,
    draw: Callable[[], None],
) -> predict_lib.PredictFn:
    """Trains to the end of the run, going on from the latest checkpoint.

    Returns the prediction of the last state, see `predict.make_predict_fn`.

    Args:
      config: The run's configuration.
      directory: Where rows and checkpoints go.
      learner: See `learner.make_learner`.
      variables: The first weights, unless there is a checkpoint.
      length: See `timetable.run_length`.
      store: The images.
      splits: Which of them are for what.
      cue_conflict: Images whose shape and texture disagree, if the data set has any.
      styling: See `run_data.load_styling`; on every device.
      progress: What the person at the terminal sees.
      draw: Draws the run's first picture; called while programs are compiled.

    Raises:
      NonFiniteError: Names the step and the term; the last checkpoint is good.
      InterruptedRunError: SIGTERM or Ctrl-C came; the state is saved.
    """
    state, update, timetable = start(config, learner, variables, length)
    predict = learner_lib.make_predict(config, learner)

    def predict_with(state):
        return predict_lib.make_predict_fn(predict, state.variables)

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

    def batch_of(n):
        one_image = np.full(n, splits.learned[0])
        return devices.shard(store.batch(devices.own_part(one_image)))

    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(
            Checkpoints(
                directory / "checkpoints", keep_evaluated=config.log.keep_evaluated
            )
        )
        first = saved = checkpoints.latest_step or 0
        with command_line.refusals("train"):
            peers.agree({"the latest checkpoint": first})
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
        watch = Watch(config, length, timetable, logbook, progress, first)
        if first < length.n_steps:
            asked = batch_of(config.eval.batch_size)
            if learner.solves_puzzles:
                asked["order"] = np.zeros_like(asked["label"])
            learnt = batch_of(config.data.batch_size)
            programs.compile_beside(
                draw,
                (update, state, store.bank, styling, learnt, timetable.at(first)),
                (predict, state.variables, store.bank, asked),
            )
        chunks = training_chunks(config, store, splits, length, first)
        mine = map(devices.own_part, chunks)
        batches = watch.waiting_for(store.batches(mine))
        for step, batch in enumerate(batches, start=first + 1):
            now = timetable.at(step - 1)
            state, means = update(state, store.bank, styling, devices.shard(batch), now)
            watch.add(step, means)
            if step in length.evaluate_at:
                watch.flush()
                measures = evaluate(state)
                watch.evaluated(step, measures)
                checkpoints.save(state, measures)
                watch.resume()
                saved = step
            elif divides(config.log.checkpoint_every_steps, step):
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


def start(
    config: ConfigDict,
    learner: learner_lib.Learner,
    variables: dict,
    length: RunLength,
) -> tuple[step_lib.TrainState, Callable, Now]:
    """Returns the state before the first step, `step.make_update`, and its `now`s."""
    optimizer = optimizer_lib.make_optimizer(config)
    average = averaging.make_average(config)
    state = step_lib.init_state(
        variables,
        optimizer,
        learner_lib.step_rng(config),
        average,
        learner.losses,
    )
    update = step_lib.make_update(
        learner.model,
        optimizer,
        learner.losses,
        learner.view,
        learner.make_edit,
        average,
        learner.reversal,
        learner.mix,
        learner.reread,
        make_sharpness(config.optim),
        config.model.remat,
    )
    return state, update, make_timetable(config, length)


def training_chunks(
    config: ConfigDict,
    store: ImageStore,
    splits: Splits,
    length: RunLength,
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


class _StopSignal:
    """Notes SIGTERM and the first Ctrl-C, so that the loop stops between steps."""

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        self._came = False

    def __enter__(self):
        # With several processes JAX handles SIGTERM, see `came`.
        signals = self._SIGNALS if jax.process_count() == 1 else (signal.SIGINT,)
        self._previous = {s: signal.signal(s, self._remember) for s in signals}
        return self

    def __exit__(self, *exc_info):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, *_):
        self._came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one kills
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def came(self, step: int) -> bool:
        """Returns whether to stop after `step`: in every process, or in none."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._came
