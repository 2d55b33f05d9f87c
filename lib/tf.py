"""The one place where TensorFlow is imported: `from lib.tf import tf`.

The import takes three to five seconds and 600 MB, so only what trains imports this module, and never a page.
"""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its start-up notes are not for our users
# With oneDNN, TensorFlow 2.21 now and then crashes in a batched matmul of inner size 1 (seen on the echo task's wide
# layers). What XLA compiles does not use it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

# XLA's default of 256 bits leaves half of the width idle on processors with AVX-512; on others this changes nothing.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_prefer_vector_width=512")

import tensorflow as tf
from tensorflow.core.protobuf.config_pb2 import CallableOptions  # which tf does not export

from lib import keras_guard

keras_guard.guard()
gc.freeze()  # its 300,000 objects stay, and looking at all of them stops every thread for a fifth of a second or more

__all__ = ["CallableOptions", "tf"]
