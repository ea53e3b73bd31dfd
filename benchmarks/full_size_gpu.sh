#!/usr/bin/env bash
# The whole method at full size with the paper's own networks on one GPU, on a machine without a network: within ten minutes
# on an H100 and 16 cores. 40 simulated subjects at --difficulty paper, one fold.
#
#   bash benchmarks/full_size_gpu.sh RESULTS DARKNET [WHEELS]
#
# RESULTS gets small files (tables, histories, plots, times); DARKNET is a checkout of the commit that darknet/ pins; WHEELS a
# folder with the wheels that the machine lacks. What computes stage 2 is Keras' backend: KERAS_BACKEND=torch where there is
# PyTorch and no TensorFlow. SCANS and SEED are the seeds of scans and trainings; SUBJECTS, BATCHES, RESOLUTION and
# DIFFICULTY make it smaller.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
results=$(realpath -m "$1")
darknet=$(realpath "$2")
work=${WORK:-$(mktemp -d)}
resolution=${RESOLUTION:-HR}
seed=${SEED:-0}
jobs=$(nproc)
mkdir -p "$results"
export PYTHONUNBUFFERED=1

if [ $# -gt 2 ]; then
    python3 -m pip install -q --no-index --no-deps --no-compile --target "$work/site" "$3"/*.whl
    export PYTHONPATH=$here:$work/site
fi

said() { echo "== [$SECONDS s] $*" | tee -a "$results/times.txt"; }
cmb() { python3 -m cmb_toolkit "$@"; }

# in the background, while scans are made
make -C "$here" darknet DARKNET_SRC="$darknet" JOBS="$jobs" PYTHON="$(command -v python3)" > "$results/build.txt" 2>&1 &
build=$!
cd "$work"
cmb simulate study --resolution "$resolution" --subjects "${SUBJECTS:-40}" --healthy 4 \
    --difficulty "${DIFFICULTY:-paper}" --seed "${SCANS:-11}" --jobs "$jobs"
said "simulated"
cmb preprocess study --jobs "$jobs"
cmb split study --folds 5 --seed 1
said "preprocessed"
wait "$build" || { cat "$results/build.txt"; exit 1; }
cmb doctor | tee "$results/doctor.txt"
cmb prepare-yolo study --fold 1 --cfg yolov2-short --augment --set batch=16 --max-batches "${BATCHES:-2600}" --jobs "$jobs"
said "prepared"
cell="study/cells/${resolution}_swi+cphase-averaged_fold-1"
cmb stage1-train "$cell" --engine binary --seed "$seed" --checkpoint-every 60
said "stage 1 trained"
cmb stage1-detect "$cell" --engine binary
said "detected"
cmb stage2-crop "$cell" --jobs "$jobs"
cmb stage2-train "$cell" --network paper --seed "$seed"
said "stage 2 trained"
cmb stage2-classify "$cell"
cmb evaluate "$cell"
cmb tables study | tee "$results/tables.txt"
cp "$cell"/yolo_history.tsv "$cell"/yolo_watch.tsv "$cell"/yolo_loss.png "$cell"/cnn_history.tsv "$cell"/cnn_loss.png \
    "$cell"/candidates.tsv "$cell"/findings.tsv "$cell"/evaluation/metrics.json "$results/"
said "done"
