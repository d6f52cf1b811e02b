"""Fine-tunes an exported network on labelled images. Needs TensorFlow and tensorflow-datasets.

    python finetune.py --saved_model=runs/rotation/saved_model --data=photos

where --data is a folder with a sub-folder of images per class (or train/ and test/ with such
sub-folders), a TFDS name, or a directory that holds a prepared TFDS data set.
"""

import argparse
import math
import os
import pathlib
import random
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Notices of TensorFlow's libraries, which come whatever the log level, are kept off the terminal.
terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
os.dup2(nowhere, 2)
try:
    import keras
    import tensorflow as tf
    import tensorflow_datasets as tfds

    tf.config.list_physical_devices()
finally:
    os.dup2(terminal, 2)

REASON = "they are damaged, of another kind, or smaller than the network's crop"


class FineTuned(keras.Model):
    """The exported network and a linear layer on its `pre_logits`; all of it is trained."""

    def __init__(self, network, classes):
        super().__init__()
        self.network = network
        self.classifier = keras.layers.Dense(classes)

    def call(self, images, training=False):
        # In training mode batch normalisation uses the batch, and its moving statistics move.
        return self.classifier(self.network(images, training=bool(training)))

    def train_step(self, data):
        images, labels = data
        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            weight_decay = tf.add_n([penalty() for penalty in self.network.regularization_losses])
            loss = self.compute_loss(images, labels, logits) + weight_decay
        # Keras does not see the loaded network's variables, because it is not a Keras layer.
        variables = [*self.network.trainable_variables, *self.classifier.trainable_variables]
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        for metric in self.metrics:
            metric.update_state(*([loss] if metric.name == "loss" else [labels, logits]))
        return {metric.name: metric.result() for metric in self.metrics}


def open_network(path):
    """The export at `path`, and the sizes that it wants its images to be resized and cropped to."""
    if not tf.saved_model.contains_saved_model(path):
        raise ValueError(
            f"--saved_model={path} is not a SavedModel: it should hold a saved_model.pb"
        )
    try:
        network = tf.saved_model.load(path)
        dtypes = {variable.dtype for variable in network.trainable_variables}
        sizes = {name: int(size) for name, size in network.signatures["input_size"]().items()}
        resize_size, crop_size = sizes["resize_size"], sizes["crop_size"]
    except Exception as error:  # Whatever TensorFlow makes of a damaged file or of another export.
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"--saved_model={path} is damaged or no export of train.py: {reason}"
        ) from error
    if dtypes != {tf.float32}:
        raise ValueError(f"--saved_model={path} holds float16 weights: take the float32 export")
    return network, resize_size, crop_size


def open_data(data, data_dir, splits):
    """A split to train on and one to measure on, of (encoded image, label), and the class names."""
    root = pathlib.Path(data)
    depths = ("", "*/", "*/*/")
    infos = [info for depth in depths for info in root.glob(f"{depth}dataset_info.json")]
    if root.is_dir() and not infos:
        return open_folder(root, splits)
    if infos:
        builder = tfds.builder_from_directory(infos[0].parent)
    else:
        try:
            builder = tfds.builder(data, data_dir=data_dir)
        except Exception as error:  # TFDS has many, some of several lines.
            raise ValueError(
                f"--data={data} is neither a folder nor a name that TFDS knows"
            ) from error
        builder.download_and_prepare()
    features = builder.info.features
    if "label" not in features or not isinstance(features["label"], tfds.features.ClassLabel):
        raise ValueError(f"--data={data} has no labels to fine-tune to")
    decoders = {"image": tfds.decode.SkipDecoding()}
    try:
        datasets = builder.as_dataset(split=splits, decoders=decoders, as_supervised=True)
    except (ValueError, KeyError) as error:
        known = ", ".join(builder.info.splits)
        raise ValueError(
            f"--data={data} has no split {' or '.join(splits)}; it has {known}"
        ) from error
    return datasets, features["label"].names


def open_folder(root, splits):
    """As `open_data`, of a folder; where it has no splits, every tenth image is to measure on."""
    if any((root / split).is_dir() for split in splits):
        for split in splits:
            if not (root / split).is_dir():
                known = ", ".join(sorted(path.name for path in root.iterdir() if path.is_dir()))
                raise ValueError(f"{root} has no folder {split}, only {known}: see --test_split")
        parts = [images_below(root / split) for split in splits]
    else:
        files = images_below(root)
        parts = [[file for i, file in enumerate(files) if i % 10], files[::10]]
    names, test_names = (sorted({file.parent.name for file in part}) for part in parts)
    if len(names) < 2:
        found = f"{len(parts[0]) + len(parts[1])} images of {len(names)} classes"
        raise ValueError(
            f"{root} needs a sub-folder of images for each of two or more classes, not {found}"
        )
    if not test_names:
        raise ValueError(f"{root} has no images to measure on")
    if set(test_names) - set(names):
        unknown = ", ".join(sorted(set(test_names) - set(names)))
        raise ValueError(f"{root} has no images to train on of {unknown}")
    random.Random(0).shuffle(parts[0])
    datasets = [
        tf.data.Dataset.from_tensor_slices(
            ([str(file) for file in part], [names.index(file.parent.name) for file in part])
        ).map(lambda path, label: (tf.io.read_file(path), label))
        for part in parts
    ]
    return datasets, names


def images_below(root):
    """The files in the sub-folders of a folder, without hidden ones."""
    return sorted(
        file
        for file in root.glob("*/*")
        if file.is_file() and not (file.name.startswith(".") or file.parent.name.startswith("."))
    )


def resized(encoded, size):
    """A decoded image in [0, 1] whose smaller side has `size` pixels (0: its own)."""
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = size / tf.reduce_min(sides) if size else 1.0
    size = tf.cast(tf.round(sides * scale), tf.int32)
    return tf.cast(tf.image.resize(image, size, method="area"), tf.float32) / 255.0


def readable_labels(split, images):
    """The labels of the images that can be used; says how many cannot."""
    labels = [int(label) for _, label in images.ignore_errors()]
    left_out = int(images.cardinality()) - len(labels)
    if not labels:
        raise ValueError(f"none of the {left_out} images of {split} can be read: {REASON}")
    if left_out:
        count = f"{left_out} of {left_out + len(labels)} images"
        print(f"{split}: {count} are left out: {REASON}", file=sys.stderr)
    return labels


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--saved_model", required=True, help="the export to start from")
    parser.add_argument("--data", required=True, help="a folder, a TFDS name or a TFDS directory")
    parser.add_argument("--data_dir", help="where TFDS keeps the data sets it knows by name")
    parser.add_argument("--train_split", default="train", help="images to train on")
    parser.add_argument("--test_split", default="test", help="images to measure on")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--learning_rate", type=float, default=0.02, help="at its highest")
    parser.add_argument("--flip", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    for name in ("epochs", "batch_size", "learning_rate"):
        if not 0 < getattr(flags, name) < math.inf:
            parser.error(f"--{name}={getattr(flags, name)}: use a number above 0")
    try:
        fine_tune(flags)
    except (ValueError, OSError, AssertionError, tf.errors.OpError) as error:
        raise SystemExit(f"finetune.py: {' '.join(str(error).split())}") from None


def fine_tune(flags):
    keras.utils.set_random_seed(flags.seed)
    network, resize_size, crop_size = open_network(flags.saved_model)
    splits = [flags.train_split, flags.test_split]
    (train, test), classes = open_data(flags.data, flags.data_dir, splits)
    model = FineTuned(network, len(classes))

    def augmented(encoded, label):
        image = tf.image.random_crop(resized(encoded, resize_size), [crop_size, crop_size, 3])
        return (tf.image.random_flip_left_right(image) if flags.flip else image), label

    def central(encoded, label):
        image = resized(encoded, resize_size)
        top, left = tf.unstack((tf.shape(image)[:2] - crop_size) // 2)
        return tf.image.crop_to_bounding_box(image, top, left, crop_size, crop_size), label

    # One pass over the images, to know how many there are.
    labels = [readable_labels(splits[0], train.map(central, tf.data.AUTOTUNE))]
    labels.append(readable_labels(splits[1], test.map(central, tf.data.AUTOTUNE)))
    if len(set(labels[0])) < 2:
        raise ValueError(f"{splits[0]} has readable images of one class only: it takes two or more")
    train = train.shuffle(10_000).repeat().map(augmented, tf.data.AUTOTUNE)
    train = train.ignore_errors().batch(flags.batch_size).prefetch(2)
    test = test.map(central, tf.data.AUTOTUNE).ignore_errors().batch(flags.batch_size)

    steps_per_epoch = max(1, len(labels[0]) // flags.batch_size)
    steps = steps_per_epoch * flags.epochs
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=flags.learning_rate, warmup_steps=steps // 10
    )
    model.compile(
        keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(train, epochs=flags.epochs, steps_per_epoch=steps_per_epoch, shuffle=False, verbose=2)
    _, accuracy = model.evaluate(
        test, steps=math.ceil(len(labels[1]) / flags.batch_size), verbose=0
    )
    print(f"top-1 on {flags.test_split}: {100 * accuracy:.1f} %")


if __name__ == "__main__":
    main()
