"""Fine-tunes an exported network on labelled images. Needs TensorFlow and tensorflow-datasets.

    python finetune.py --saved_model=runs/rotation/saved_model --data=photos

where --data is a folder with a sub-folder of images per class (or train/ and test/ with such
sub-folders), a TFDS name, or a directory that holds a prepared TFDS data set.
"""

import argparse
import pathlib
import random

import keras
import tensorflow as tf
import tensorflow_datasets as tfds


class FineTuned(keras.Model):
    """The exported network and a linear layer on its `pre_logits`; all of it is trained."""

    def __init__(self, path, classes):
        super().__init__()
        self.network = tf.saved_model.load(path)
        self.classifier = keras.layers.Dense(classes)
        if any(variable.dtype != tf.float32 for variable in self.network.trainable_variables):
            raise SystemExit(f"{path} holds float16 weights: fine-tune the float32 export")

    def call(self, images, training=False):
        # In training mode batch normalisation uses the batch, and its moving statistics move.
        return self.classifier(self.network(images, training=bool(training)))

    def train_step(self, data):
        images, labels = data
        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            weight_decay = tf.add_n([penalty() for penalty in self.network.regularization_losses])
            loss = self.compute_loss(images, labels, logits) + weight_decay
        # Keras does not see the loaded network's variables, because it is no Keras layer.
        variables = [*self.network.trainable_variables, *self.classifier.trainable_variables]
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        for metric in self.metrics:
            metric.update_state(*([loss] if metric.name == "loss" else [labels, logits]))
        return {metric.name: metric.result() for metric in self.metrics}


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
        builder = tfds.builder(data, data_dir=data_dir)
        builder.download_and_prepare()
    decoders = {"image": tfds.decode.SkipDecoding()}
    datasets = builder.as_dataset(split=splits, decoders=decoders, as_supervised=True)
    return datasets, builder.info.features["label"].names


def open_folder(root, splits):
    """As `open_data`, of a folder; where it has no splits, every tenth image is to measure on."""
    parts = [sorted((root / split).glob("*/*")) for split in splits]
    if not all(parts):
        files = sorted(root.glob("*/*"))
        parts = [[file for i, file in enumerate(files) if i % 10], files[::10]]
    names = sorted({file.parent.name for file in parts[0]})
    if len(names) < 2:
        raise SystemExit(f"{root} needs a sub-folder of images for each of two or more classes")
    random.Random(0).shuffle(parts[0])
    datasets = [
        tf.data.Dataset.from_tensor_slices(
            ([str(file) for file in part], [names.index(file.parent.name) for file in part])
        ).map(lambda path, label: (tf.io.read_file(path), label))
        for part in parts
    ]
    return datasets, names


def resized(encoded, size):
    """A decoded image in [0, 1] whose smaller side has `size` pixels (0: its own)."""
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = size / tf.reduce_min(sides) if size else 1.0
    size = tf.cast(tf.round(sides * scale), tf.int32)
    return tf.cast(tf.image.resize(image, size, method="area"), tf.float32) / 255.0


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
    if not tf.saved_model.contains_saved_model(flags.saved_model):
        parser.error(f"{flags.saved_model} is no SavedModel: it should hold a saved_model.pb")

    keras.utils.set_random_seed(flags.seed)
    splits = [flags.train_split, flags.test_split]
    (train, test), classes = open_data(flags.data, flags.data_dir, splits)
    model = FineTuned(flags.saved_model, len(classes))
    sizes = model.network.signatures["input_size"]()
    resize_size, crop_size = int(sizes["resize_size"]), int(sizes["crop_size"])

    def augmented(encoded, label):
        image = tf.image.random_crop(resized(encoded, resize_size), [crop_size, crop_size, 3])
        return (tf.image.random_flip_left_right(image) if flags.flip else image), label

    def central(encoded, label):
        image = resized(encoded, resize_size)
        top, left = tf.unstack((tf.shape(image)[:2] - crop_size) // 2)
        return tf.image.crop_to_bounding_box(image, top, left, crop_size, crop_size), label

    # Files that are no images are left out.
    images = int(train.cardinality())
    train = train.shuffle(min(images, 10_000)).repeat().map(augmented, tf.data.AUTOTUNE)
    train = train.ignore_errors().batch(flags.batch_size).prefetch(2)
    test = test.map(central, tf.data.AUTOTUNE).ignore_errors().batch(flags.batch_size)

    steps_per_epoch = max(1, images // flags.batch_size)
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
    _, accuracy = model.evaluate(test, verbose=0)
    print(f"top-1 on {flags.test_split}: {100 * accuracy:.1f} %")


if __name__ == "__main__":
    main()
