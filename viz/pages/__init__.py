"""Pages that move: the explorer of a computation and the movie of a training, each one HTML file. It may use all of `viz`."""

from .explorer import Explorer, explore
from .movie import Movie, Recorder, training_movie

__all__ = [
    "Explorer", "Movie", "Recorder", "explore", "training_movie",
]
