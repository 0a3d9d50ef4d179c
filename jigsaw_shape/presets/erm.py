"""The baseline, from which every method starts."""

from ml_collections import ConfigDict


def erm(config: ConfigDict) -> None:
    """Cross-entropy on the pooled sources: "DeepAll" (JiGen), "ERM" (DomainBed)."""
    config.losses.jigsaw = 0.0
    config.jigsaw.bias_whole_image = 1.0
