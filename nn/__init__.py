"""Neural networks on the scalar engine: modules, losses, optimisers, training, data, and the models of the lectures.

>>> model = MLP(2, [4, 1], activation="tanh", rng=0)
>>> history = fit(model, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], optimizer="adam", lr=0.1, epochs=60, rng=0)
>>> [round(z) > 0 for z in predict(model, [[0, 0], [0, 1], [1, 0], [1, 1]])]
[False, True, True, False]
"""

try:
    from autograd import PRIMITIVES as _PRIMITIVES  # noqa: F401
except ImportError as error:
    raise ImportError("the package 'autograd' that was found is not xigrad's (HIPS autograd has the same name): "
                      "install xigrad in an environment of its own") from error

from .activations import ACTIVATIONS, Activation, GeneralisedReLU, activation, generalised_relu, maxout, piecewise_linear
from .conv import AvgPool2d, Conv2d, Flatten, MaxPool2d
from .data import (
    DATASETS,
    DataError,
    Dataset,
    Standardizer,
    load_breast_cancer,
    load_csv,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_circles,
    make_moons,
    mini_batches,
    one_hot,
    train_test_split,
)
from .init import INITIALISERS, initialiser
from .layers import MLP, Layer, Maxout, Neuron, Sequential
from .lectures import (
    GAN,
    GATES,
    LeNet,
    LinearRegression,
    LogisticRegression,
    OneVsRest,
    Perceptron,
    SoftmaxRegression,
    descend,
    gate,
)
from .losses import (
    LOSSES,
    OUTPUT_UNITS,
    OutputUnit,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    l2,
    mse,
    nll,
    output_unit,
    perceptron_loss,
    squared_error,
)
from .module import Module
from .optim import OPTIMIZERS, SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from .saving import load, load_extra, register, save
from .schedules import CosineAnnealingLR, ExponentialLR, ReduceLROnPlateau, StepLR
from .training import (
    Callback,
    Checkpoint,
    EarlyStopping,
    History,
    NeuralNetClassifier,
    NeuralNetRegressor,
    accuracy,
    confusion_matrix,
    eager_gradients,
    executor_gradients,
    fit,
    minimize,
    predict,
)

__all__ = [
    "ACTIVATIONS", "DATASETS", "GAN", "GATES", "INITIALISERS", "LOSSES", "MLP", "OPTIMIZERS", "OUTPUT_UNITS", "SGD",
    "Activation", "Adagrad", "Adam", "AdamW", "AvgPool2d", "Callback", "Checkpoint", "Conv2d", "CosineAnnealingLR",
    "DataError", "Dataset", "EarlyStopping", "ExponentialLR", "Flatten", "GeneralisedReLU", "History", "Layer", "LeNet",
    "LinearRegression", "LogisticRegression", "MaxPool2d", "Maxout", "Module", "NeuralNetClassifier", "NeuralNetRegressor",
    "Neuron", "OneVsRest", "Optimizer", "OutputUnit", "Perceptron", "RMSprop", "ReduceLROnPlateau", "Sequential",
    "SoftmaxRegression", "Standardizer", "StepLR", "accuracy", "activation", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "confusion_matrix", "cross_entropy", "descend", "eager_gradients",
    "executor_gradients", "fit", "gate", "generalised_relu", "hinge", "initialiser", "l2", "load", "load_breast_cancer",
    "load_csv", "load_diabetes", "load_digits", "load_extra", "load_iris", "load_wine", "make_circles", "make_moons", "maxout",
    "mini_batches", "minimize", "mse", "nll", "one_hot", "output_unit", "perceptron_loss", "piecewise_linear", "predict",
    "register", "save", "squared_error", "train_test_split",
]
