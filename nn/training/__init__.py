"""`fit` and what it needs: compiled and eager gradients, callbacks, scores, SciPy's minimisers, scikit-learn's estimators.

It uses the flat part, `nn.data` and `nn.saving`; only the command uses it.
"""

from .callbacks import Callback, Checkpoint, EarlyStopping
from .estimators import NeuralNetClassifier, NeuralNetRegressor
from .gradients import eager_gradients, executor_gradients
from .loop import fit
from .scipy import minimize
from .scores import accuracy, confusion_matrix, predict
from .state import History

__all__ = [
    "Callback", "Checkpoint", "EarlyStopping", "History", "NeuralNetClassifier", "NeuralNetRegressor", "accuracy",
    "confusion_matrix", "eager_gradients", "executor_gradients", "fit", "minimize", "predict",
]
