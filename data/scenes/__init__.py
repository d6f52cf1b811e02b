"""The embedded data set: drawn scenes of ten kinds of object with a natural upright."""

from data.scenes.builder import Scenes

__all__ = ["Scenes"]
