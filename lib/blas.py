"""Matrix products in one thread.

Small ones are faster so: more threads wait for each other longer than they compute. And they are the same to the last bit in
every process, while the parts that several threads take depend on how many there are.
"""

from contextlib import AbstractContextManager
from typing import Any

import numpy as np  # noqa: F401  (its BLAS must be there to be found)
from threadpoolctl import ThreadpoolController

_CONTROLLER = ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """In this context NumPy's matrix products, of all threads of Python, are computed in one thread each."""
    limit: AbstractContextManager[Any] = _CONTROLLER.limit(limits=1, user_api="blas")
    return limit
