"""Methods that average weights or look for flat places among them."""

from ml_collections import ConfigDict

from jigsaw_shape.presets.erm import erm


def sma(config: ConfigDict) -> None:
    """Evaluates the mean of the weights of all steps but the first.

    Arpit et al., Ensemble of averages, NeurIPS 2022: from step 100 of 5000 on.
    """
    erm(config)
    config.averaging.name = "sma"
    config.averaging.start = 0.02


def erm_plus_plus(config: ConfigDict) -> None:
    """Averages weights, after a tenth of the run in which the class head trains alone.

    Teterwak et al., ERM++, arXiv 2304.01973, of whose ingredients these two are a
    method: a warm start of 500 of 5000 steps, and the mean of the weights of all steps
    from 600 on. The others are settings: a longer run (`config.epochs`), stronger
    initial weights (`config.model.init`), and BatchNorm that trains, the default.

    Departures: nothing trains again on all images by itself (a second run with
    `config.data.split=none` does). The warm start has no optimizer and learning rate of
    its own. The learning rate follows `config.optim.schedule`; theirs falls where the
    validation loss stops falling. BatchNorm's statistics are means of the running ones;
    in their code the averaged network also sees each batch.
    """
    sma(config)
    config.averaging.start = 0.12
    config.optim.heads_first = 0.1


def swa(config: ConfigDict) -> None:
    """Evaluates the mean of the weights after each of the last epochs.

    Izmailov et al., UAI 2018. Departures: the learning rate is constant from the
    beginning (in theirs it falls to that first), the average takes the last quarter of
    the run (a share that their code has near), and BatchNorm's statistics are averaged
    too, not made anew. That quarter has to hold two epochs' ends, so a run of fewer
    than four epochs is refused.
    """
    erm(config)
    config.averaging.name = "swa"
    config.averaging.start = 0.75
    config.optim.schedule = "constant"


def swad(config: ConfigDict) -> None:
    """Keeps means of the weights between evaluations, at a constant learning rate.

    Cha et al., NeurIPS 2021. `python -m jigsaw_shape.average --checkpoints swad` then
    joins those of the window that the validation loss shows; the run's own rows are of
    single segments. The window needs many evaluations, 50 to 100 in their 5000 steps:
    `config.eval.every_epochs=1` over a long run, whose length is in epochs, as one in
    steps has ten. Departures: the validation losses are
    of the segments' means, theirs of the weights at the end of each segment; their runs
    from ImageNet's weights keep BatchNorm as it is, here by
    `config.model.freeze_norm=True`.
    """
    erm(config)
    config.averaging.name = "segments"
    config.log.keep_evaluated = True
    config.optim.schedule = "constant"


def wise_ft(config: ConfigDict) -> None:
    """Evaluates the encoder halfway between its first and its trained weights.

    Wortsman et al., CVPR 2022, alpha 0.5, their choice where nothing says more. It
    needs initial weights that know something. Departure: the heads stay as trained.
    """
    erm(config)
    config.averaging.trained = 0.5


def sam(config: ConfigDict) -> None:
    """Updates by the gradient at the worst place nearby.

    Foret et al., ICLR 2021; rho 0.05. A step computes two gradients.
    """
    erm(config)
    config.optim.sharpness = "sam"


def sagm(config: ConfigDict) -> None:
    """`sam`, and the plain gradient with it.

    Wang et al., CVPR 2023; rho 0.05, alpha 0.001. A step computes two gradients.
    """
    erm(config)
    config.optim.sharpness = "sagm"
