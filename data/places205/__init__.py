"""Places205 (Zhou et al. 2014), which TFDS has no builder for."""

from data.places205.builder import Places205

__all__ = ["Places205"]
