"""The configuration: every field with its meaning.

A file in `configs/` starts from `default_config()`, sets what its data set needs and
applies a preset from `jigsaw_shape.presets`. `jigsaw_shape.checks` refuses what cannot
work.
"""

import pathlib

from ml_collections import ConfigDict


def default_config() -> ConfigDict:
    """Returns JiGen's recipe (Carlucci et al., CVPR 2019) for a ResNet-18, as `erm`.

    Durations are in epochs (a pass over the source training images), or in steps where
    `steps` is set instead.
    """
    config = ConfigDict()
    config.preset = "erm"  # for rows and folders' names; the preset sets it
    config.workdir = ""  # "": runs/{data.name}-{preset}-{target}-s{seed}
    config.seed = 0  # of initial weights, the order of the data, augmentation
    config.epochs = 30  # passes over the training images; 0 if steps is set
    config.steps = 0  # exactly one of epochs and steps is above 0

    config.data = ConfigDict()
    config.data.name = "pacs"  # shapes | pacs | vlcs | ... | a name of your own |
    #   unlabelled: the images of data.unlabelled alone
    config.data.source_dir = ""  # the folder as downloaded; "": $PACS_DIR and the like
    # The prepared data, also gs://MINE/data; "": $TFDS_DATA_DIR or TFDS's default.
    config.data.data_dir = ""
    config.data.target = "sketch"  # the held-out domain; "" of unlabelled images
    config.data.sources = ""  # "photo,cartoon"; "": every domain but the target
    config.data.classes = ""  # "dog,horse": these alone, with labels in this order; or
    #   a .txt file, a class a line; "learned" | "held_out": of the names of emoji, see
    #   docs/flat.md; "": all
    config.data.unlabelled = ""  # "DIR,DIR": folders of images without labels, for the
    #   losses that need none
    config.data.setting = "generalization"  # the target is never trained on |
    #   adaptation: its images are, without their labels
    config.data.split = "jigen"  # how validation is held out: jigen|domainbed|official|
    #   none: every source image trains, and `val` is the last step
    config.data.split_seed = 0  # which images are held out
    config.data.stored_px = 227  # the side of the squares that images are kept as
    config.data.background = "white"  # shows where images are transparent: white |
    #   grey | black | "R,G,B" | stored, whatever colour the file keeps there
    config.data.image_size = 222  # what the network sees; a multiple of jigsaw.grid
    config.data.batch_size = 128  # over all devices and processes
    config.data.sampling = "proportional"  # each image once an epoch | "balanced":
    #   every source domain equally often
    config.data.cache = "auto"  # auto | device | host | none: where images are kept

    config.augment = ConfigDict()
    config.augment.crop_scale = (0.8, 1.0)  # area of the random crop
    config.augment.crop_ratio = (3 / 4, 4 / 3)  # width / height of the random crop
    config.augment.flip = 0.5  # probability of a horizontal flip
    config.augment.brightness = 0.4  # colour jitter, half-widths of the factors
    config.augment.contrast = 0.4
    config.augment.saturation = 0.4
    config.augment.hue = 0.4  # in turns, at most 0.5
    config.augment.tile_grayscale = 0.1  # probability that a tile turns grey

    config.jigsaw = ConfigDict()
    config.jigsaw.grid = 3  # tiles per side, 2 to 4
    config.jigsaw.n_permutations = 30  # K; the head has K + 1 classes, 0 = unshuffled
    config.jigsaw.seed = 0  # of the permutation set
    config.jigsaw.bias_whole_image = 1.0  # probability that an image stays whole
    # A curriculum: one number, or two, at the first step and at the last.
    config.jigsaw.shuffled = (1.0,)  # share that is shuffled of what the field above
    #   does not keep whole
    config.jigsaw.orders = (1.0,)  # share of the K that is drawn, those farthest apart
    config.jigsaw.classify_shuffled = True  # shuffled images count in the class loss
    config.jigsaw.view = "instead"  # instead: an image is whole or a puzzle | beside:
    #   every image is whole, and a share 1 - bias_whole_image also comes as a puzzle
    config.jigsaw.head = "pooled"  # reads the pooled features | spatial: the last map
    config.jigsaw.hidden = 256  # width of the spatial head's hidden layer; 0: none
    config.jigsaw.encode = "image"  # the shuffled picture in one pass | tiles: each by
    #   itself, their features put in order afterwards; needs view=beside
    config.jigsaw.orders_per_image = 1  # puzzles made of the tiles of one image
    config.jigsaw.answer = "order"  # names one of K + 1 | positions: says which tile
    #   stands at each place
    config.jigsaw.all_permutations = False  # train on every permutation, not on the K
    #   alone; needs answer=positions
    # Against shortcuts by which a puzzle is solved without seeing its object:
    config.jigsaw.gap = (0.0,)  # share of a tile's side that is cut off; may move
    config.jigsaw.normalize_tiles = False  # give each the same mean and contrast

    config.diversify = ConfigDict()  # changes style, keeps shape
    config.diversify.name = ""  # "": none; adain | fourier | randconv | colour |
    #   edges | two_tone | augmix | prime, or several, "fourier,randconv": an image
    #   gets one
    # One number, or two: at the first step and at the last, linear in between.
    config.diversify.p_ordered = (0.0,)  # probability that an ordered image changes ...
    config.diversify.p_shuffled = (0.0,)  # ... and that a shuffled one does
    config.diversify.per_tile = (0.0,)  # share of these with a style for each tile
    config.diversify.mix_tiles = False  # each of these tiles draws one, or none
    config.diversify.weakest = (0.0,)  # strength, drawn uniformly between these: 0 to 1
    config.diversify.strongest = (1.0,)
    config.diversify.external = (0.0,)  # share of styles from `styles`; the others are
    #   images of other source domains in the batch
    config.diversify.until = 1.0  # share of the run after which it stops
    config.diversify.styles = "pack"  # pack: the shipped styles | a folder of images
    config.diversify.n_styles = 1000  # at most; of more, the seed chooses
    config.diversify.stylizer = "shipped"  # of adain: shipped | a file of `stylize fit`
    #   | a folder with vgg_normalised.pth and decoder.pth. Nothing checks that it was
    #   not fitted on the target
    config.diversify.enlarge_tiles = False  # stylize a tile at the image's size

    config.dann = ConfigDict()  # the term losses.domain: features that hide domains
    config.dann.domains = "source"  # tells apart: source | style: natural images from
    #   diversified ones
    config.dann.hidden = (1024, 1024)  # widths of the domain classifier
    config.dann.gamma = 10.0  # the reversal rises as 2 / (1 + exp(-gamma p)) - 1 ...
    config.dann.strongest = 1.0  # ... times this

    config.mixing = ConfigDict()  # two images and their labels become one
    config.mixing.name = ""  # "": none; mixup | cutmix
    config.mixing.alpha = 0.2  # of the Beta distribution of their shares

    config.mixstyle = ConfigDict()  # changes features' style inside the encoder
    config.mixstyle.name = "mixstyle"  # mixstyle | efdmix | dsu | padain
    config.mixstyle.stages = ""  # after which it does: "layer1,layer2"; "": none;
    #   "usual": MixStyle's, or stages of like depth; "all": every map
    config.mixstyle.p = 0.5  # probability, one draw for a device's part of a batch
    config.mixstyle.alpha = 0.1  # of the Beta distribution of the weights; of dsu, what
    #   its noise is multiplied by
    config.mixstyle.mix = "random"  # random | crossdomain

    config.rsc = ConfigDict()  # the class head does without its strongest features
    config.rsc.features = 0.0  # share of them; 0: off
    config.rsc.images = 1 / 3  # share of the images that lose them

    config.teacher = ConfigDict()  # of the term losses.teacher
    config.teacher.temperature = 10.0  # by which all answers are softened
    config.teacher.momentum = 0.9995  # what it keeps of its weights a step, at most
    config.teacher.ramp = 0.1  # share of the run in which the weight rises

    config.sagnet = ConfigDict()  # of the term losses.style
    config.sagnet.adversary = 0.1  # weight of the style head's adversary

    config.model = ConfigDict()
    config.model.encoder = "resnet18"  # a name in jigsaw_shape.models.ENCODERS
    config.model.init = "random"  # random | torchvision:NAME | timm:NAME | hub:ID |
    #   pretrained:NAME | a file of weights | a run's folder, perhaps with @last, @val
    config.model.init_skip = ""  # names in it that are not read: "dense*,*.bias"
    config.model.mean = ()  # subtracted from RGB in [0, 1]; (): as the weights expect
    config.model.std = ()  # what the difference is divided by
    config.model.freeze_norm = False  # BatchNorm trains with its running statistics
    config.model.dtype = "float32"  # of the computation: float32 | bfloat16
    config.model.remat = False  # keep only what stages return, and compute the rest
    #   again on the way back: less memory, a third more work

    config.edges = ConfigDict()  # of the head of losses.edges
    config.edges.grid = 4  # it reads the last map, averaged to so many cells a side ...
    config.edges.hidden = 256  # ... through a layer of this width ...
    config.edges.cells = 28  # ... and says how strong edges are in so many a side

    config.losses = ConfigDict()  # the weight of each; at 0 it is not computed
    config.losses.classification = 1.0  # 0: no labels, see data.unlabelled
    config.losses.jigsaw = 0.0
    config.losses.domain = 0.0  # of the domain classifier behind a reversed gradient
    config.losses.consistency = 0.0  # of the answers to an image before and after its
    #   change of style: above 0, every image is seen in both
    config.losses.jsd = 0.0  # of the answers to an image and to two changes of its
    #   style: above 0, every image is seen in all three
    config.losses.teacher = 0.0  # FACT: of the answers to those of an averaged teacher
    config.losses.distillation = 0.0  # of the features to those of the first weights
    config.losses.edges = 0.0  # of a head that draws the image's edges
    # Of domains: equal means and covariances, equal distributions, domain classifiers
    # for each class, equal risks, ...
    config.losses.coral = 0.0
    config.losses.mmd = 0.0
    config.losses.cdann = 0.0
    config.losses.vrex = 0.0
    config.losses.irm = 0.0  # one best classifier for all
    config.losses.groupdro = 0.0  # the worst domain's risk; 1 is the paper's loss
    config.losses.fishr = 0.0  # equal variances of the head's gradients
    config.losses.sd = 0.0  # squared logits
    config.losses.style = 0.0  # SagNet: a head for style, and its adversary

    config.invariance = ConfigDict()  # of the terms vrex, irm, fishr, groupdro
    config.invariance.start = 0.0  # share of the run after which vrex, irm and fishr
    #   have their weight ...
    config.invariance.early_weight = 0.0  # ... and this one before, at most
    config.invariance.eta = 0.01  # groupdro: growth of a domain's weight a step
    config.invariance.decay = 0.95  # fishr: of the variances' moving average

    config.classification = ConfigDict()
    config.classification.label_smoothing = 0.0  # share spread over all classes
    config.classification.natural_only = False  # images of changed style do not count
    config.classification.detached = False  # the class head leaves the encoder alone,
    #   which learns from the other losses

    config.optim = ConfigDict()
    config.optim.name = "sgd"  # sgd | adamw
    config.optim.lr = 1e-3
    config.optim.momentum = 0.9  # sgd only
    config.optim.nesterov = False  # sgd only
    config.optim.weight_decay = 5e-4  # sgd: added to the gradient; adamw: decoupled
    config.optim.decay_kernels_only = False  # no decay of biases and BatchNorm
    config.optim.schedule = "step"  # step | cosine | constant
    config.optim.step_at = (0.8,)  # at these shares of the run lr is multiplied ...
    config.optim.step_factor = 0.1  # ... by this
    config.optim.warmup = 0.0  # share of the run in which lr rises linearly from 0
    config.optim.accumulate = 1  # batches whose gradients are averaged for an update
    config.optim.heads_first = 0.0  # share of the run in which the heads train alone
    config.optim.sharpness = ""  # "": none; sam | sagm: a step computes two gradients
    config.optim.sharpness_rho = 0.05  # how far away the second one is taken
    config.optim.sharpness_alpha = 0.001  # sagm only: less so much of the gradient
    config.optim.ema_decay = 0.0  # above 0: evaluate this moving average of weights

    config.averaging = ConfigDict()  # evaluates other weights than the last ones
    config.averaging.name = ""  # "": none; sma: of every step | swa: of every so many |
    #   segments: of the steps since the last evaluation, for SWAD
    config.averaging.start = 0.0  # share of the run before the average (sma, swa)
    config.averaging.every = 0  # steps between what swa averages; 0: an epoch
    config.averaging.trained = 1.0  # share of the trained weights in the encoder; the
    #   rest is its first weights (WiSE-FT)

    config.eval = ConfigDict()
    config.eval.batch_size = 256  # over all devices and processes
    config.eval.every_epochs = 1  # with steps: ten times a run

    config.log = ConfigDict()
    config.log.every_steps = 20  # between rows, with a check of the losses
    config.log.checkpoint_every_steps = 0  # between evaluations; 0: none
    config.log.keep_evaluated = False  # keep the checkpoint of every evaluation, for
    #   python -m jigsaw_shape.average; else the latest two and the best
    config.log.tensorboard = True
    return config


def workdir(config: ConfigDict) -> pathlib.Path:
    """Returns `config.workdir`, or the name that a run has without one."""
    parts = [config.data.name, config.preset, config.data.target, f"s{config.seed}"]
    name = "-".join(part for part in parts if part)
    return pathlib.Path(config.workdir or pathlib.Path("runs") / name)


def source_names(config: ConfigDict) -> tuple[str, ...]:
    """Returns `config.data.sources` as a tuple; empty means all but the target."""
    return listed(config.data.sources)


def listed(text: str) -> tuple[str, ...]:
    """Returns the names in a field such as `"photo,cartoon"`; () for `""`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def flatten(tree: dict, prefix: str = "") -> dict:
    """Returns fields on one level: `{"optim": {"lr": 1}}` as `{"optim.lr": 1}`."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
