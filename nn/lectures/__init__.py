"""The models of the lectures: regressions, perceptron, gates, LeNet, GAN. It uses the flat part and `nn.data`."""

from .models import LinearRegression, LogisticRegression, OneVsRest, Perceptron, SoftmaxRegression, descend
from .networks import GAN, GATES, LeNet, gate

__all__ = [
    "GAN", "GATES", "LeNet", "LinearRegression", "LogisticRegression", "OneVsRest", "Perceptron", "SoftmaxRegression",
    "descend", "gate",
]
