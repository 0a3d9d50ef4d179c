"""What the person at the terminal sees of a run."""

from collections.abc import Mapping

from rich.console import Console

from jigsaw_shape.system import command_line

_MUCH_WAIT = 0.1  # of the time, that is worth a word


class Progress:
    """A bar with speed, losses and time left; one line for each evaluation.

    Where the output is a file, the lines alone.
    """

    def __init__(self, console: Console):
        """Writes to `console`; nothing moves before `start`."""
        self._console = console
        self._bar = command_line.progress_bar("step", console=console)

    def __enter__(self):
        self._update = self._bar.__enter__()
        return self

    def __exit__(self, *exc_info):
        return self._bar.__exit__(*exc_info)

    def start(self, step: int, n_steps: int) -> None:
        """Shows where the run begins; a step above 0 is a continuation."""
        self._update(step, "compiling", total=n_steps)
        if step == n_steps:
            self._console.print(f"finished already, at step {step}")
        elif step:
            self._console.print(f"continuing at step {step} of {n_steps}")

    def trained(self, step: int, values: Mapping[str, float]) -> None:
        """Shows the training row of `step`."""
        parts = []
        if "images_per_s" in values:
            parts.append(f"{values['images_per_s']:.0f} images/s")
        if values.get("input_wait", 0) >= _MUCH_WAIT:
            parts.append(f"waits for images {values['input_wait']:.0%} of the time")
        parts += [
            f"{name.removeprefix('loss/')} {value:.3f}"
            for name, value in values.items()
            if name.startswith("loss/") and name != "loss/total"
        ]
        self._update(step, "  ".join(parts))

    def evaluated(self, step: int, epoch: float, measures: Mapping) -> None:
        """Prints the evaluation of `step` as one line."""
        names = {
            "val": "val/accuracy",
            "target": "target/accuracy",
            "solved": "puzzle/shuffled_accuracy",
            "placed": "puzzle/placed_tiles",
            "shape bias": "cue_conflict/shape_bias",
        }
        parts = [
            f"{label} {100 * measures[name]:5.1f}"
            for label, name in names.items()
            if name in measures
        ]
        self._console.print(
            f"epoch {epoch:6.2f}  step {step:6d}  " + "  ".join(parts), soft_wrap=True
        )
