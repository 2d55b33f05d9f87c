"""Loss functions, in nats."""

from lib.scopes import part
from lib.tf import tf


def softmax_cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-log softmax(logits)[label], in nats: `logits` [..., C] and whole-numbered `labels` [...] to [...]."""
    with part("loss"):
        log_probabilities = tf.nn.log_softmax(logits)
        return -tf.reduce_sum(tf.one_hot(labels, logits.shape[-1]) * log_probabilities, axis=-1)


def sigmoid_cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-log sigmoid(±logit) of independent yes-or-no answers, in nats: `logits` and `labels` (0.0 or 1.0), both [...]."""
    with part("loss"):
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
