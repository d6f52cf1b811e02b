"""Which images a program reads, and which host decodes them."""

import dataclasses

from training.options import option


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """A data set and the share of it that may be unreadable."""

    dataset: str = option(
        "folder", "folder, scenes, imagenet2012, places205 or another TFDS name; see docs/data.md."
    )
    data_dir: str | None = option(
        None,
        "The folder, ImageNet's directory, or TFDS' data directory.",
        may_differ=True,
        path=True,
    )
    max_bad_fraction: float = option(
        0.1,
        "Stop if more than this share of a split is unreadable; up to that, images are skipped.",
        minimum=0,
        maximum=1,
        may_differ=True,
    )


@dataclasses.dataclass(frozen=True)
class ServiceOptions:
    """A tf.data service that decodes instead of this host."""

    data_service: str | None = option(
        None,
        "grpc://HOST:PORT of a tf.data service that decodes the training images.",
        may_differ=True,
    )
    data_service_jobs: int = option(
        1,
        "Jobs that share the decoding; at least as many as the service has workers.",
        minimum=1,
        maximum=10_000,
        may_differ=True,
    )
