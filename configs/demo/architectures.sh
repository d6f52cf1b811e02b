#!/usr/bin/env bash
# Rotation with each of the six architectures on scenes, and a linear probe on the five layers of
# each: one epoch, 2 000 labelled images, seed 0. About fourteen minutes on two cores, after
# `source .venv/bin/activate`. Stopped and started again, it resumes.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=runs/architectures
probes=""
for architecture in resnet50_v1 resnet50_v2 resnet50_v2_minus revnet50 revnet50_minus vgg19_bn; do
  python train.py --flagfile=configs/demo/rotation.cfg --architecture="$architecture" \
    --epochs=1 --decay_epochs=0.75 --warmup_epochs=0.2 --workdir="$runs/$architecture"
  python eval.py --flagfile=configs/demo/probe.cfg --train_split='train[:2000]' \
    --saved_model="$runs/$architecture/saved_model" --workdir="$runs/probes/$architecture"
  probes="$probes,$runs/probes/$architecture"
done
python eval.py --compare="${probes#,}" --workdir="$runs"
