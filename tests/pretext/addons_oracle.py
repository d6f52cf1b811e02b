"""Runs TensorFlow Addons' semi-hard triplet loss in a process of its own.

The package knows Keras 2 only: `tf_keras` has to stand in for `keras` before it is imported, which
no process that uses Keras 3 can do. The environment must hold TF_USE_LEGACY_KERAS=1. Usage:
python addons_oracle.py INPUTS.npz OUTPUTS.npz MARGIN, where the inputs hold `<case>_embeddings`
and `<case>_labels` and the outputs get `<case>_loss` and `<case>_gradient`.
"""

import sys

import numpy as np
import tensorflow as tf
import tf_keras


def main(inputs: str, outputs: str, margin: str) -> None:
    sys.modules["keras"] = tf_keras
    import tensorflow_addons as tfa

    arrays, results = np.load(inputs), {}
    for case in [name.removesuffix("_labels") for name in arrays if name.endswith("_labels")]:
        embeddings = tf.constant(arrays[f"{case}_embeddings"])
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = tfa.losses.triplet_semihard_loss(
                arrays[f"{case}_labels"], embeddings, float(margin), "squared-L2"
            )
        results[f"{case}_loss"] = loss.numpy()
        results[f"{case}_gradient"] = tape.gradient(loss, embeddings).numpy()
    np.savez(outputs, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
