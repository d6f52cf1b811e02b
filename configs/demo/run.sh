#!/usr/bin/env bash
# make demo: draws the scenes data set, pretrains with rotation, probes five layers of the
# pretrained and of the untrained network and the raw pixels, and puts them side by side.
# Expected: rotation about 96 % on held-out images; see the README for the table.
# About seven minutes on two cores. Stopped and started again, it resumes.
#
#   SEED=1 bash configs/demo/run.sh      another seed, in runs/demo/seed1
set -euo pipefail
cd "$(dirname "$0")/../.."
seed=${SEED:-0}
runs=runs/demo/seed$seed

python train.py --flagfile=configs/demo/rotation.cfg --seed="$seed" --workdir="$runs/rotation"
python train.py --flagfile=configs/demo/rotation.cfg --seed="$seed" --workdir="$runs/untrained" \
  --epochs=0
for network in untrained rotation; do
  layers=block1,block2,block3,block4,pre_logits
  if [ "$network" = untrained ]; then layers=pixels,$layers; fi
  python eval.py --flagfile=configs/demo/probe.cfg --layers="$layers" \
    --saved_model="$runs/$network/saved_model" --workdir="$runs/probes/$network"
done
echo
echo "Top-1 accuracy of logistic regression on each layer, scenes (seed $seed):"
python eval.py --compare="$runs/probes/untrained,$runs/probes/rotation" --workdir="$runs"
