"""What people do with an export who have TensorFlow and nothing of this project.

    python stranger.py FOLDER

in a directory of its own, without the project on the path. FOLDER holds `saved_model`,
`images.npy` (images that fit the contract) and `photos/`; the answers go to FOLDER/answers.npz.
"""

import base64
import contextlib
import importlib.util
import io
import json
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.python.tools import saved_model_cli

folder = pathlib.Path(sys.argv[1])
path = str(folder / "saved_model")
images = np.load(folder / "images.npy")
photos = [file.read_bytes() for file in sorted((folder / "photos").iterdir())]
answers = {}


def keep(client: str, layers: dict) -> None:
    for layer, value in layers.items():
        answers[f"{client}/{layer}"] = np.asarray(value)


for room in ("models", "pretext", "evaluate", "training"):
    assert importlib.util.find_spec(room) is None, f"{room} is on the path"

# ---------------------------------------------------------------- TensorFlow, TensorFlow Hub, Keras
model = tf.saved_model.load(path)
keep("tf.saved_model.load", model.signatures["representation"](tf.constant(images)))
keep("function", model.representation(images))
keep("one image of another size", model.representation(images[:1, :44, :36]))
hub_model = hub.load(path)
keep("hub.load", hub_model.signatures["representation"](tf.constant(images)))
layer = keras.layers.TFSMLayer(path, call_endpoint="representation")
keep("TFSMLayer", layer(images))
inputs = keras.Input((None, None, 3))
keep("TFSMLayer in a model", keras.Model(inputs, layer(inputs)).predict(images, verbose=0))
answers["call"] = model(images)
answers["hub call"] = hub_model(images)
answers["serving_default"] = model.signatures["serving_default"](tf.constant(images))["pre_logits"]
answers["logits"] = model.signatures["pretext"](tf.constant(images))["logits"]
answers["sizes"] = [int(v) for _, v in sorted(model.signatures["input_size"]().items())]
answers["penalty"] = sum(loss() for loss in model.regularization_losses)

# ---------------------------------------------------------------- saved_model_cli


def command_line(*arguments: str) -> str:
    sys.argv = ["saved_model_cli", *arguments]
    output = io.StringIO()
    # It ends with sys.exit, whatever comes of it; the answers show what did.
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        saved_model_cli.main()
    return output.getvalue()


answers["show"] = command_line("show", f"--dir={path}", "--all")
command_line(
    "run",
    f"--dir={path}",
    "--tag_set=serve",
    "--signature_def=representation",
    f"--inputs=images={folder / 'images.npy'}",
    f"--outdir={folder / 'cli'}",
)
keep("saved_model_cli", {file.stem: np.load(file) for file in (folder / "cli").iterdir()})

# ---------------------------------------------------------------- TensorFlow Serving
# The server loads the graph into a session and finds tensors through the signature's definition.
# REST: {"b64": …} stands for bytes in an input whose name ends in _bytes.
body = json.dumps(
    {
        "signature_name": "serving_bytes",
        "instances": [{"b64": base64.b64encode(photo).decode()} for photo in photos],
    }
)
request = json.loads(body)
decoded = [base64.b64decode(instance["b64"]) for instance in request["instances"]]
# gRPC: a PredictRequest carries each input as a TensorProto, by name.
message = {"image_bytes": tf.make_tensor_proto(decoded).SerializeToString()}
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], path)
    definition = loaded.signature_def[request["signature_name"]]
    assert all(name.endswith("_bytes") for name in definition.inputs)
    assert sorted(definition.inputs) == sorted(message)
    fetches = {name: tensor.name for name, tensor in definition.outputs.items()}

    def feeds(values: dict) -> dict:
        return {definition.inputs[name].name: value for name, value in values.items()}

    keep("REST", session.run(fetches, feeds({"image_bytes": np.array(decoded, object)})))
    protos = {name: TensorProto.FromString(text) for name, text in message.items()}
    arrays = {name: tf.make_ndarray(proto) for name, proto in protos.items()}
    keep("gRPC", session.run(fetches, feeds(arrays)))
    definition = loaded.signature_def["pre_logits_bytes"]
    fetches = {name: tensor.name for name, tensor in definition.outputs.items()}
    keep("pre_logits_bytes", session.run(fetches, feeds({"image_bytes": [photos[0]]})))

# ---------------------------------------------------------------- what is refused


def complaint(function: object, value: object) -> str:
    try:
        function(value)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        return " ".join(str(error).split())
    return ""


pixels = (images * 255).astype(np.uint8)
wrong = {
    "0 to 255": images * 255,
    "-1 to 1": images * 2 - 1,
    "NaN": np.where(images > 0.99, np.nan, images),
    "uint8": pixels,
    "uint8 tensor": tf.constant(pixels),
    "no batch": images[0],
    "grey": images[..., :1],
    "RGBA": np.concatenate([images, images[..., :1]], axis=-1),
    "channels first": images.transpose(0, 3, 1, 2),
}
for name, value in wrong.items():
    answers[f"complaint/{name}"] = complaint(model, value)
    signature = model.signatures["representation"]
    answers[f"complaint of the signature/{name}"] = complaint(signature, tf.constant(value))
signature = model.signatures["serving_bytes"]
answers["complaint/no image"] = complaint(signature, tf.constant([b"not a picture"]))
compiled = tf.function(lambda batch: model(batch), jit_compile=True)
answers["compiled"] = compiled(tf.constant(images))

# ---------------------------------------------------------------- fine-tuning
# Gradients reach every trainable variable; batch statistics move in training mode.
moving = [v for v in model.variables if "moving" in v.name]
before = [v.numpy() for v in moving]
with tf.GradientTape() as tape:
    value = tf.reduce_mean(model(images, training=True) ** 2)
gradients = tape.gradient(value, list(model.trainable_variables))
answers["gradients"] = [g is not None and bool(tf.reduce_any(g != 0)) for g in gradients]
answers["moved"] = [bool(np.any(v.numpy() != b)) for v, b in zip(moving, before, strict=True)]

np.savez(folder / "answers.npz", **{name: np.asarray(value) for name, value in answers.items()})
