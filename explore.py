"""Shows what a network learnt, without labels: one page of neighbours, a map, scores and a verdict.

    python explore.py --saved_model=runs/rotation/saved_model --workdir=runs/rotation_explored \\
        --dataset=folder --data_dir=photos

leaves explore.html in the run's directory, which opens from disk, and beside it embeddings.npy,
files.csv and others: docs/exploration.md. Run again, the same command reuses the representations
that are there.

The exit status is 0 when all is done, 1 for an error, 130 after Ctrl-C and 143 after SIGTERM; the
same command resumes: docs/failures.md.
"""

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import dataclasses

import numpy as np
from etils import epath
from tqdm import tqdm

import data
from data import images, usable_images
from data.options import DataOptions
from data.records import drawn
from evaluate import (
    neighbour_stability,
    representation_files,
    representations,
    saved_models,
    trial_pass,
)
from evaluate.features import release
from evaluate.representations import ExtractOptions
from exploration import (
    compared,
    embedding_map,
    image_names,
    near_duplicates,
    neighbours,
    outliers,
    page,
    projector,
    scores,
    tables,
    thumbnails,
    untrained,
    verdict,
    views,
)
from training import command_line, devices, locks, options, run_directory, strategies
from training.options import option
from training.strategies import DeviceOptions

NO_BASELINE = "none"


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What is explored, with what it is compared, and where it is left."""

    workdir: str | None = option(
        None, "The run's directory: representations, page, data.", may_differ=True, path=True
    )
    saved_model: str | None = option(
        None, "The network: a SavedModel as train.py exports it.", path=True
    )
    baseline: str | None = option(
        None,
        "A SavedModel of the same network untrained; default: made from the network's own "
        f"description, {NO_BASELINE}: no comparison.",
        may_differ=True,
        path=True,
    )
    split: str = option(
        "all",
        "The images to explore: all (a folder only), train, val, test, … auto: all of a folder, "
        "val of other data sets.",
        auto=True,
    )
    max_images: int = option(
        50_000,
        "Explore at most so many of them, drawn by --seed: time grows with the square.",
        minimum=2,
        maximum=10**6,
    )
    view_images: int = option(
        1000,
        "Images of which two random views are compared, drawn by --seed.",
        minimum=2,
        maximum=10**6,
        may_differ=True,
    )
    queries: tuple[str, ...] = option(
        (),
        "Images whose neighbours are shown, by their paths below --data_dir; default: a dozen.",
        check=tuple,
        may_differ=True,
    )
    embeddings: tuple[str, ...] = option(
        (),
        "The layers to write to embeddings.npy; map, near-duplicates and outliers are of the first "
        "one. Default: pre_logits, or else the last of --layers.",
        check=tuple,
        may_differ=True,
    )
    representations_dir: str | None = option(
        None, "Default: representations/ in --workdir.", may_differ=True, path=True
    )
    seed: int = option(
        0,
        "Of the images drawn, their views, the untrained network and the map.",
        minimum=0,
        maximum=2**31 - 1,
    )


GROUPS = (RunOptions, DataOptions, ExtractOptions, DeviceOptions)
options.define(*GROUPS)


@locks.released_at_the_end
@devices.memory_advice("use a smaller --batch_size")
def main(argv: list[str]) -> None:
    # ---------------------------------------------------------------- flags
    if len(argv) > 1:
        raise ValueError(f"unexpected argument {argv[1]}: give every option as --name=value")
    data_options = options.read(DataOptions)
    is_folder = data_options.dataset == "folder"
    run = options.read(RunOptions, {"split": image_names.WHOLE if is_folder else "val"})
    extraction = options.read(ExtractOptions, max_bad_fraction=data_options.max_bad_fraction)
    hardware = options.read(DeviceOptions)
    workdir = run_directory.locate(run.workdir)
    tables.check_local(workdir)
    if hardware.strategy == "multi_worker":
        raise ValueError("--strategy=multi_worker: explore.py runs on one machine; use mirrored")

    # ---------------------------------------------------------------- networks and data
    strategy = strategies.build(hardware.strategy, hardware.tpu)
    strategies.check_batch_size(strategy, extraction.batch_size)
    with strategy.scope():
        model = saved_models.load(run.saved_model)
        initial = (
            [] if run.baseline == NO_BASELINE else untrained.load(model, run.baseline, run.seed)
        )
    resize_size, crop_size = saved_models.input_size(
        model, extraction.resize_size, extraction.crop_size
    )
    extraction = dataclasses.replace(extraction, resize_size=resize_size, crop_size=crop_size)
    for network in (model, *initial):
        representations.check_layers(network, extraction.layers)
    embeddings = tables.embedded_layers(run.embeddings, extraction.layers)
    records = data.load(data_options.dataset, run.split, data_options.data_dir)
    records, _ = drawn(records, run.max_images, run.seed)
    usable_images.check_first(records, images.CentralCrop(resize_size, crop_size))
    names = image_names.read(records, data_options.data_dir)
    records = image_names.without_missing_labels(records, names)
    named = image_names.find(run.queries, names)
    features = trial_pass.check(model, extraction, strategy)
    if initial:
        untrained.check_sizes(trial_pass.check(initial[0], extraction, strategy), features)

    # ---------------------------------------------------------------- run directory
    directory = epath.Path(run.representations_dir or workdir / "representations")
    representation_files.check_local(directory)
    flag_texts = options.texts(run, data_options, extraction, hardware)
    run_directory.claim(run.workdir, flag_texts, options.may_differ(*GROUPS))

    # ---------------------------------------------------------------- representations
    cut, source = views.cut(model.path, extraction)
    extracted = compared.extract(
        model,
        initial,
        features,
        records,
        run.view_images,
        cut,
        extraction,
        directory,
        seed=run.seed,
        strategy=strategy,
    )
    whole, layers = extracted.whole, extracted.layers
    labels = whole.labels if records.class_names else None

    # ---------------------------------------------------------------- what they show
    shown = embeddings[0]
    count = len(whole.positions)
    if count < 2:
        raise ValueError(f"{records.dataset} has one readable image: there is nothing to compare")
    queries = neighbours.queries(whole.positions, named, run.seed)
    measured: dict[str, dict[str, scores.LayerScores]] = {name: {} for name in layers}
    found: dict[str, dict[str, np.ndarray]] = {layer: {} for layer in extraction.layers}
    with tqdm(desc="scores", total=len(layers) * len(extraction.layers) + 4) as progress:
        for name, values in layers.items():
            views_of = extracted.views if name == "network" else extracted.initial_views[0]
            for layer, rows in values.items():
                progress.set_postfix_str(f"{name} {layer}")
                measured[name][layer] = scores.measure(
                    rows, views_of[layer], labels, extracted.rows, run.seed
                )
                _, found[layer][name] = neighbours.of_rows(rows, queries, neighbours.SHOWN)
                release(rows)
                progress.update()
        recognised = [
            {layer: neighbour_stability.recognised(*pair) for layer, pair in each.items()}
            for each in extracted.initial_views
        ]
        progress.update()
        progress.set_postfix_str("neighbours")
        main_layer = layers["network"][shown]
        cosines, nearest = neighbours.of_rows(main_layer, np.arange(count), outliers.NEIGHBOURS)
        duplicates = near_duplicates.find(main_layer, cosines, nearest, run.seed)
        lonely = outliers.rank(cosines)
        progress.update()
        progress.set_postfix_str("map")
        components, shares = embedding_map.principal_components(main_layer, run.seed)
        mapped = embedding_map.drawn(count, embedding_map.MAPPED, run.seed)
        by_t_sne = embedding_map.t_sne(components[mapped], run.seed)
        progress.update()
        progress.set_postfix_str("pictures")
        rows = page.rows_shown(queries, found, duplicates, lonely, mapped)
        pictures = thumbnails.make(records, whole.positions, rows, extraction)
        progress.update()

    # ---------------------------------------------------------------- files
    written = tables.write_embeddings(
        {name: layers["network"][name] for name in embeddings}, workdir
    )
    tables.write_files(names, whole, workdir / "files.csv")
    paths = [names.paths[position] for position in whole.positions]
    tables.write_near_duplicates(duplicates, paths, workdir / "near_duplicates.csv")
    tables.write_outliers(lonely, paths, workdir / "outliers.csv")
    tables.write_scores(measured, workdir / "scores.csv")
    projector.write(
        main_layer[mapped],
        [pictures[row] for row in mapped.tolist()],
        tables.metadata(names, whole, mapped),
        shown,
        workdir / "projector",
    )
    conclusion = verdict.sentence(measured["network"], recognised, shown, run.seed)
    page.write(
        workdir / "explore.html",
        page.Content(
            saved_model=run.saved_model,
            data=f"{count} images ({data_options.dataset}, split {run.split})",
            verdict=conclusion,
            views=f"{cut}; {source}",
            measured=measured,
            recognised=recognised,
            seed=run.seed,
            queries=queries,
            neighbours=found,
            layer=shown,
            components=components,
            shares=shares,
            mapped=mapped,
            t_sne=by_t_sne,
            duplicates=duplicates,
            outliers=lonely,
            paths=paths,
            pictures=pictures,
            labels=labels,
            class_names=whole.class_names,
            unreadable=whole.unreadable,
            embeddings=written,
        ),
    )
    print("\n".join(["", *page.score_lines(measured, recognised, run.seed), "", conclusion]))
    print(f"\n{workdir / 'explore.html'}", flush=True)


if __name__ == "__main__":
    command_line.run("explore.py", main)
