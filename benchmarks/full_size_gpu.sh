#!/usr/bin/env bash
# The whole method at full size with the paper's own networks on one GPU, on a machine without a network: within ten minutes
# on an H100 and 16 cores. 40 simulated subjects at --difficulty paper, one fold, every command with its defaults but for the
# network; two trainings beside each other, and the heatmap network as a third.
#
#   KERAS_BACKEND=jax bash benchmarks/full_size_gpu.sh RESULTS [WHEELS]       # again after anything that happened
#
# RESULTS gets small files (tables, histories, plots, times); WHEELS is a folder with the wheels that the machine lacks. What
# computes is Keras' backend, where there is no TensorFlow PyTorch or JAX. WORK is where the study lies; SCANS is the seed of
# the scans; SUBJECTS, RESOLUTION, DIFFICULTY, CFG, BATCHES and STEPS make it smaller; SECOND is said to the second training.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
results=$(realpath -m "$1")
work=${WORK:-$(mktemp -d)}
resolution=${RESOLUTION:-HR}
jobs=${JOBS:-$(nproc)}
mkdir -p "$results" "$work"
export PYTHONUNBUFFERED=1 PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
export XLA_PYTHON_CLIENT_PREALLOCATE=false # three trainings share the GPU

if [ $# -gt 1 ]; then
    [ -d "$work/site" ] || python3 -m pip install -q --no-index --no-deps --no-compile --target "$work/site" "$2"/*.whl
    export PYTHONPATH=$PYTHONPATH:$work/site
fi

started=$SECONDS
said() { echo "== [$((SECONDS - started)) s] $*" | tee -a "$results/times.txt"; }
cmb() { python3 -m cmb_toolkit "$@"; }

# what follows a first stage; $1 is the cell, $2 its name in the results
follow() {
    cmb stage2-crop "$1" --jobs 4
    said "$2: cut out"
    cmb stage2-train "$1" --seed "${3:-0}"
    said "$2: stage 2 trained"
    cmb stage2-classify "$1"
    cmb evaluate "$1" --false-pictures 0
    said "$2: done"
}

# a cell of YOLO; $1 is the repeat, the rest is said to stage1-train
yolo() {
    local cell="$base"
    [ "$1" = 1 ] || cell="${base}_repeat-$1"
    cmb stage1-train "$cell" --seed $(($1 - 1)) "${@:2}"
    said "yolo $1: stage 1 trained"
    cmb stage1-detect "$cell" --engine embedded
    said "yolo $1: detected"
    follow "$cell" "yolo $1" $(($1 - 1))
    mkdir -p "$results/yolo-$1"
    cp "$cell"/yolo_history.tsv "$cell"/yolo_watch.tsv "$cell"/cnn_history.tsv "$cell"/evaluation/metrics.json "$results/yolo-$1/"
}

heatmap() {
    cmb heatmap study --fold 1 --steps "${STEPS:-1500}"
    said "heatmap: trained, looked"
    follow "study/cells/${resolution}_heatmap_fold-1" heatmap
}

cd "$work"
cmb simulate study --resolution "$resolution" --subjects "${SUBJECTS:-40}" --healthy 4 \
    --difficulty "${DIFFICULTY:-paper}" --seed "${SCANS:-11}" --jobs "$jobs"
said "simulated"
cmb preprocess study --jobs "$jobs"
cmb split study --folds 5 --seed 1
said "preprocessed"
base="study/cells/${resolution}_swi+cphase-averaged_fold-1"
for repeat in 1 2; do
    cmb prepare-yolo study --fold 1 --repeat "$repeat" --cfg "${CFG:-yolov2-short}" ${BATCHES:+--max-batches "$BATCHES"} --jobs "$jobs"
done
said "prepared"
yolo 1 > "$results/yolo-1.txt" 2>&1 &
# shellcheck disable=SC2086
yolo 2 ${SECOND:-} > "$results/yolo-2.txt" 2>&1 &
heatmap > "$results/heatmap.txt" 2>&1 &
wait
cmb tables study | tee "$results/tables.txt"
said "done"
