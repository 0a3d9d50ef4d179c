"""Accuracies that papers report, leave one domain out, in %.

They stand beside measured ones for orientation: each is of its authors' own harness,
splits and selection, and baselines differ between papers by more than methods do.
"""

import dataclasses
import statistics
from collections.abc import Collection, Mapping

# Domains of a data set, each of which is the target once.
N_TARGETS = {"pacs": 4, "vlcs": 4, "office_home": 4}


@dataclasses.dataclass(frozen=True)
class Published:
    """A row of a paper's table.

    Attributes:
      dataset: As `config.data.name` has it.
      method: The paper's name for it.
      encoder: As the paper names it; empty where it was not read from there.
      source: Authors, venue and year.
      average: Over all targets of the data set, in %.
      targets: In %, by domain, where the paper's table was read by domain.
    """

    dataset: str
    method: str
    encoder: str
    source: str
    average: float
    targets: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def average_over(self, targets: Collection[str]) -> float | None:
        """Returns the average over some targets, in %; None where it is not known."""
        if len(targets) == N_TARGETS[self.dataset]:
            return self.average
        if not self.targets.keys() >= set(targets):
            return None
        return statistics.fmean(self.targets[target] for target in targets)


def _pacs(method, source, art, cartoon, photo, sketch, average):
    targets = {
        "art_painting": art,
        "cartoon": cartoon,
        "photo": photo,
        "sketch": sketch,
    }
    return Published("pacs", method, "ResNet-18", source, average, targets)


_JIGEN = "Carlucci et al., CVPR 2019"
_DDEC = "Asadi et al., arXiv 1909.08245, 2019"

PUBLISHED: tuple[Published, ...] = (
    Published("pacs", "DeepAll", "ResNet-18", _JIGEN, 79.05),
    _pacs("JiGen", _JIGEN, 79.42, 75.25, 96.03, 71.35, 80.51),
    _pacs("L2A-OT", "Zhou et al., ECCV 2020", 83.3, 78.2, 96.2, 73.6, 82.83),
    _pacs("SagNet", "Nam et al., CVPR 2021", 83.58, 77.66, 95.47, 76.30, 83.25),
    _pacs("MixStyle", "Zhou et al., ICLR 2021", 84.1, 78.8, 96.1, 75.9, 83.7),
    _pacs("EFDMix", "Zhang et al., CVPR 2022", 83.9, 79.4, 96.8, 75.0, 83.9),
    _pacs("DDEC", _DDEC, 83.01, 79.39, 96.93, 78.62, 84.46),
    _pacs("FACT", "Xu et al., CVPR 2021", 85.37, 78.38, 95.15, 79.15, 84.51),
    _pacs("RSC", "Huang et al., ECCV 2020", 83.43, 80.31, 95.99, 80.85, 85.15),
    _pacs("DomainDrop", "Guo et al., ICCV 2023", 84.91, 80.72, 96.71, 84.32, 86.67),
    Published("pacs", "DeepAll", "AlexNet", _JIGEN, 71.52),
    Published("pacs", "JiGen", "AlexNet", _JIGEN, 73.38),
    Published("pacs", "ERM", "ResNet-50", "Gulrajani & Lopez-Paz, ICLR 2021", 85.5),
    Published("pacs", "SWAD", "ResNet-50", "Cha et al., NeurIPS 2021", 88.1),
    Published("vlcs", "JiGen", "AlexNet", _JIGEN, 75.14),
    Published("vlcs", "DDEC", "", _DDEC, 75.79),
    Published("office_home", "JiGen", "ResNet-18", _JIGEN, 61.2),
    Published("office_home", "DDEC", "", _DDEC, 68.8),
)


def of(dataset: str, encoder: str) -> list[Published]:
    """Returns what is published on a data set, in the table's order.

    Of the same encoder where there is any of it, else of all.

    Args:
      dataset: As `config.data.name` has it.
      encoder: As `config.model.encoder` has it.
    """
    rows = [row for row in PUBLISHED if row.dataset == dataset]
    same = [r for r in rows if r.encoder.replace("-", "").lower() == encoder]
    return same or rows
