"""Loss functions, in nats."""

from lib.tf import tf


def softmax_cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-log softmax(logits)[label], in nats: `logits` [..., C] and whole-numbered `labels` [...] to [...]."""
    log_probabilities = tf.nn.log_softmax(logits)
    return -tf.reduce_sum(tf.one_hot(labels, logits.shape[-1]) * log_probabilities, axis=-1)
