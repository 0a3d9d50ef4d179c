"""What is known of public data sets: a record each, and a line in `KNOWN_SETS`.

A data set that is not among them is a folder `{domain}/{class}/*` of the user's own.
"""

import dataclasses
import statistics
from collections.abc import Collection, Mapping, Sequence

from jigsaw_shape.data.names import plain, squashed, words

_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
_JIGEN = "Carlucci et al., CVPR 2019"
_DDEC = "Asadi et al., arXiv 1909.08245, 2019"
_DOMAINBED = "Gulrajani & Lopez-Paz, ICLR 2021"
_SWAD = "Cha et al., NeurIPS 2021"

# Names of domains of photographs in data sets that are not known, in order of
# preference.
PHOTOGRAPHS = ("photo", "photos", "photograph", "photographs", "real_world", "real")

UNKNOWN_TERMS = "not recorded; look where they come from"
_OTHER_TERMS = {
    "shapes": "drawn by jigsaw_shape; no terms of others apply",
    "emoji_small": "fluent-emoji-* MIT; noto, fxemoji Apache-2.0; twemoji, emojione, "
    "emojione-monotone CC BY 4.0; authors in assets/emoji/SOURCES.csv",
    "imagenet": "ImageNet (Russakovsky et al., IJCV 2015): offered for "
    "non-commercial research",
}


@dataclasses.dataclass(frozen=True)
class Published:
    """A row of a paper's table: accuracy on each domain, held out, in %.

    They stand beside measured ones for orientation: each is of its authors' own
    harness, splits and selection, and baselines differ between papers by more than
    methods do.

    Attributes:
      method: The paper's name for it.
      encoder: As the paper names it; empty where it was not read from there.
      source: Authors, venue and year.
      average: Over all domains of the data set.
      targets: By domain, where the paper's table was read by domain.
    """

    method: str
    encoder: str
    source: str
    average: float
    targets: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class KnownSet:
    """A known data set, or, with no domains, a user's own, found as it is.

    Attributes:
      name: What `config.data.name` calls it.
      domains: Names and the images that each has when complete; None: not known.
      classes: Names, in label order; none: those found, which need not be in every
        domain.
      aliases: Other names of domain folders, `names.squashed`, to ours. Case, spaces
        and underscores never matter.
      photographs: The domain of photographs; `""`: as its name says, if one does.
      terms: On which it is offered, for model cards.
      mirrors: Public archives, tried in turn.
      origin: Where its authors or DomainBed offer it, for messages.
      published: Accuracies that papers report.
      listed: Whether its lists, a split each, name the images that count: what else is
        in its folders, such as images that are there twice, is passed over.
      n_images: How many images all domains have together, where each domain's number is
        not known; else 0.
      n_classes: How many classes there are, where `classes` does not name them; else 0.
      totals: Where copies differ in good faith, such as one part of a domain and all of
        it: the numbers of images that copies of a domain have. What is missing, or
        has another number, is then noted and not refused.
    """

    name: str
    domains: Mapping[str, int | None] = dataclasses.field(default_factory=dict)
    classes: tuple[str, ...] = ()
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    photographs: str = ""
    terms: str = UNKNOWN_TERMS
    mirrors: tuple[str, ...] = ()
    origin: str = ""
    published: tuple[Published, ...] = ()
    listed: bool = False
    n_images: int = 0
    n_classes: int = 0
    totals: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    def domain(self, folder: str) -> str:
        """Returns our name of a domain's folder, `""` where there is no such domain."""
        if not self.domains:
            return plain(folder)
        names = {squashed(name): name for name in self.domains} | dict(self.aliases)
        return names.get(squashed(folder), "")

    def average_over(self, paper: Published, targets: Collection[str]) -> float | None:
        """Returns a paper's average over some domains, in %; None if it is unknown."""
        if set(targets) == set(self.domains):
            return paper.average
        if not paper.targets.keys() >= set(targets):
            return None
        return statistics.fmean(paper.targets[target] for target in targets)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _pacs(method, source, art, cartoon, photo, sketch, average):
    domains = ("art_painting", "cartoon", "photo", "sketch")
    values = (art, cartoon, photo, sketch)
    targets = dict(zip(domains, values, strict=True))
    return Published(method, "ResNet-18", source, average, targets)


PACS = KnownSet(  # Li et al., ICCV 2017
    name="pacs",
    domains={"art_painting": 2048, "cartoon": 2344, "photo": 1670, "sketch": 3929},
    classes=("dog", "elephant", "giraffe", "guitar", "horse", "house", "person"),
    aliases={"art": "art_painting"},
    photographs="photo",
    terms="PACS (Li et al., ICCV 2017): offered for research use",
    mirrors=(
        "https://github.com/MachineLearning2020/Homework3-PACS/archive/"
        "33f7def03be34c3fbb1a4d5c97384ab602884833.zip",
        _DRIVE + "1JFr8f805nMUelQWWmfnJR3y4_SYoN5Pd",  # DomainBed's PACS.zip
    ),
    origin="https://dali-dl.github.io/project_iccv2017.html",
    published=(
        Published("DeepAll", "ResNet-18", _JIGEN, 79.05),
        _pacs("JiGen", _JIGEN, 79.42, 75.25, 96.03, 71.35, 80.51),
        _pacs("L2A-OT", "Zhou et al., ECCV 2020", 83.3, 78.2, 96.2, 73.6, 82.83),
        _pacs("SagNet", "Nam et al., CVPR 2021", 83.58, 77.66, 95.47, 76.30, 83.25),
        _pacs("MixStyle", "Zhou et al., ICLR 2021", 84.1, 78.8, 96.1, 75.9, 83.7),
        _pacs("EFDMix", "Zhang et al., CVPR 2022", 83.9, 79.4, 96.8, 75.0, 83.9),
        _pacs("DDEC", _DDEC, 83.01, 79.39, 96.93, 78.62, 84.46),
        _pacs("FACT", "Xu et al., CVPR 2021", 85.37, 78.38, 95.15, 79.15, 84.51),
        _pacs("RSC", "Huang et al., ECCV 2020", 83.43, 80.31, 95.99, 80.85, 85.15),
        _pacs("DomainDrop", "Guo et al., ICCV 2023", 84.91, 80.72, 96.71, 84.32, 86.67),
        Published("DeepAll", "AlexNet", _JIGEN, 71.52),
        Published("JiGen", "AlexNet", _JIGEN, 73.38),
        Published("ERM", "ResNet-50", _DOMAINBED, 85.5),
        Published("SWAD", "ResNet-50", _SWAD, 88.1),
    ),
)
VLCS = KnownSet(  # Torralba & Efros, CVPR 2011; as DomainBed distributes it
    name="vlcs",
    domains={"caltech101": 1415, "labelme": 2656, "sun09": 3282, "voc2007": 3376},
    classes=("bird", "car", "chair", "dog", "person"),
    aliases={"caltech": "caltech101", "sun": "sun09", "pascal": "voc2007"},
    photographs="voc2007",
    origin="https://github.com/facebookresearch/DomainBed",
    published=(
        Published("JiGen", "AlexNet", _JIGEN, 75.14),
        Published("DDEC", "", _DDEC, 75.79),
    ),
)
OFFICE_HOME = KnownSet(  # Venkateswara et al., CVPR 2017
    name="office_home",
    domains={"art": 2427, "clipart": 4365, "product": 4439, "real_world": 4357},
    classes=_words(
        """alarm_clock backpack batteries bed bike bottle bucket calculator calendar
        candles chair clipboards computer couch curtains desk_lamp drill eraser
        exit_sign fan file_cabinet flipflops flowers folder fork glasses hammer
        helmet kettle keyboard knives lamp_shade laptop marker monitor mop mouse mug
        notebook oven pan paper_clip pen pencil postit_notes printer push_pin radio
        refrigerator ruler scissors screwdriver shelf sink sneakers soda speaker
        spoon table telephone toothbrush toys trash_can tv webcam"""
    ),
    aliases={"real": "real_world"},
    photographs="real_world",
    origin="https://www.hemanthdv.org/officeHomeDataset.html",
    published=(
        Published("JiGen", "ResNet-18", _JIGEN, 61.2),
        Published("DDEC", "", _DDEC, 68.8),
    ),
)
OFFICE_31 = KnownSet(  # Saenko et al., ECCV 2010
    name="office_31",
    domains={"amazon": 2817, "dslr": 498, "webcam": 795},
    classes=_words(
        """back_pack bike bike_helmet bookcase bottle calculator desk_chair desk_lamp
        desktop_computer file_cabinet headphones keyboard laptop_computer letter_tray
        mobile_phone monitor mouse mug paper_notebook pen phone printer projector
        punchers ring_binder ruler scissors speaker stapler tape_dispenser trash_can"""
    ),
    origin="https://people.eecs.berkeley.edu/~jhoffman/domainadapt/",
)
TERRA_INCOGNITA = KnownSet(  # Beery et al., ECCV 2018; as DomainBed distributes it
    name="terra_incognita",
    domains={
        "location_100": 4741,
        "location_38": 9736,
        "location_43": 3970,
        "location_46": 5883,
    },
    classes=_words("bird bobcat cat coyote dog empty opossum rabbit raccoon squirrel"),
    aliases={f"l{n}": f"location_{n}" for n in (100, 38, 43, 46)},
    terms="Caltech Camera Traps: Community Data License Agreement, permissive",
    origin="https://github.com/facebookresearch/DomainBed",
    published=(
        Published("ERM", "ResNet-50", _DOMAINBED, 46.1),
        Published("SWAD", "ResNet-50", _SWAD, 50.0),
    ),
)
DOMAINNET = KnownSet(  # Peng et al., ICCV 2019; the images of its lists
    name="domainnet",
    domains={
        "clipart": 48129,
        "infograph": 51605,
        "painting": 72266,
        "quickdraw": 172500,
        "real": 172947,
        "sketch": 69128,
    },
    n_classes=345,
    photographs="real",
    terms="DomainNet (Peng et al., ICCV 2019): offered for research, as fair use",
    origin="https://ai.bu.edu/M3SDA/",
    published=(
        Published("ERM", "ResNet-50", _DOMAINBED, 40.9),
        Published("SWAD", "ResNet-50", _SWAD, 46.5),
    ),
    listed=True,
)
NICO_PLUS_PLUS = KnownSet(  # Zhang et al., CVPR 2023; the 60 classes of its challenge
    name="nico_plus_plus",
    domains=dict.fromkeys(("autumn", "dim", "grass", "outdoor", "rock", "water")),
    classes=_words(
        """airplane bear bicycle bird bus butterfly cactus car cat chair clock corn cow
        crab crocodile dog dolphin elephant fishing_rod flower football fox frog giraffe
        goose gun hat helicopter horse hot_air_balloon kangaroo lifeboat lion lizard
        mailbox monkey motorcycle ostrich owl pineapple pumpkin rabbit racket sailboat
        scooter seal sheep ship shrimp spider squirrel sunflower tent tiger tortoise
        train truck umbrella wheat wolf"""
    ),
    n_images=88866,
    terms="NICO++ (Zhang et al., CVPR 2023): offered for research",
    origin="https://github.com/xxgege/NICO-plus",
)
_DIGITS = tuple("0123456789")
_OF_SYN = dict.fromkeys(("synth", "syndigits", "synthdigits", "syntheticdigits"), "syn")
DIGITS = KnownSet(  # single source, as in Volpi et al., NeurIPS 2018
    name="digits",
    domains=dict.fromkeys(("mnist", "mnist_m", "svhn", "syn", "usps")),
    classes=_DIGITS,
    aliases=_OF_SYN,
    # The training part, the test part and both. The papers' MNIST is 10,000 images of
    # the training part, alone or with the test part. MNIST-M is that of its authors,
    # or one made from all of MNIST; SVHN perhaps with the part called extra.
    totals={
        "mnist": (10_000, 20_000, 60_000, 70_000),
        "mnist_m": (9_001, 10_000, 59_001, 60_000, 68_002, 70_000),
        "svhn": (26_032, 73_257, 99_289, 531_131, 604_388, 630_420),
        "syn": (9_553, 479_400, 488_953),
        "usps": (2_007, 7_291, 9_298),
    },
)
DIGITS_DG = KnownSet(  # Zhou et al., AAAI 2020 (DDAIG): 600 a digit and domain
    name="digits_dg",
    domains={"mnist": 6000, "mnist_m": 6000, "svhn": 6000, "syn": 6000},
    classes=_DIGITS,
    aliases=_OF_SYN,
    mirrors=(_DRIVE + "15V7EsHfCcfbKgsDmzQKj_DfXt_XYp_P7",),
    origin="https://github.com/KaiyangZhou/Dassl.pytorch",
)
EMOJI = KnownSet(  # drawn from npm packages, see data/emoji.py
    name="emoji",
    domains={
        "noto": 1108,
        "noto_v1": 826,
        "twemoji": 1108,
        "openmoji": 1105,
        "fluent_emoji": 1100,
        "fluent_emoji_flat": 1100,
        "fluent_emoji_high_contrast": 1100,
        "emojione": 814,
        "emojione_v1": 694,
        "emojione_monotone": 814,
        "fxemoji": 452,
    },
    terms="fluent-emoji* MIT; noto*, fxemoji Apache-2.0; twemoji, emojione, "
    "emojione-monotone CC BY 4.0; openmoji, emojione-v1 CC BY-SA 4.0",
    origin="the npm packages @iconify-json/noto and others (docs/flat.md)",
)

KNOWN_SETS: dict[str, KnownSet] = {
    "pacs": PACS,
    "vlcs": VLCS,
    "office_home": OFFICE_HOME,
    "office_31": OFFICE_31,
    "terra_incognita": TERRA_INCOGNITA,
    "domainnet": DOMAINNET,
    "nico_plus_plus": NICO_PLUS_PLUS,
    "digits": DIGITS,
    "digits_dg": DIGITS_DG,
    "emoji": EMOJI,
}


def find_set(name: str) -> KnownSet:
    """Returns the known data set of this name, or a record of a user's own.

    Raises:
      ValueError: The name has no letters or digits.
    """
    if not words(name):
        raise ValueError(f"{name!r} is no name for a data set: use letters and digits")
    known = {squashed(key): record for key, record in KNOWN_SETS.items()}
    return known.get(squashed(name)) or KnownSet(plain(name))


def terms(name: str) -> str:
    """Returns on which terms a data set is offered, by `config.data.name`."""
    return _OTHER_TERMS.get(name) or find_set(name).terms


def photographs_among(domains: Sequence[str], name: str = "") -> str | None:
    """Returns the domain of photographs among some, None where none is known.

    Args:
      domains: Names, plain.
      name: The data set, `config.data.name`, where it is known.
    """
    own = KNOWN_SETS[name].photographs if name in KNOWN_SETS else ""
    known = (own, *PHOTOGRAPHS, *(s.photographs for s in KNOWN_SETS.values()))
    return next((domain for domain in known if domain in domains), None)


def published(name: str, encoder: str) -> list[Published]:
    """Returns what papers report on a data set, in the record's order.

    With the same encoder, or with every encoder where none used that one.

    Args:
      name: As `config.data.name` has it.
      encoder: As `config.model.encoder` has it.
    """
    papers = list(KNOWN_SETS[name].published) if name in KNOWN_SETS else []
    same = [p for p in papers if p.encoder.replace("-", "").lower() == encoder]
    return same or papers
