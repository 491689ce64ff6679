from .primitive import Primitive, errstate
from .value import Value, no_grad
from .graph import topological
