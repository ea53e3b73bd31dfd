#!/usr/bin/env bash
# The whole method at full size with the paper's own networks on one GPU, on a machine without a network: some ten minutes on
# an H100 and 16 cores. 40 simulated subjects at --difficulty paper, one fold, every command with its defaults but for the
# network.
#
#   KERAS_BACKEND=jax bash benchmarks/full_size_gpu.sh RESULTS [WHEELS]       # again after anything that happened
#   TRAININGS="yolo-1 yolo-2 heatmap" KERAS_BACKEND=jax bash benchmarks/full_size_gpu.sh RESULTS
#
# TRAININGS go on side by side: yolo-1, yolo-2, ... each with a seed of its own, and the heatmap network, each with its second
# stage. SECOND is said to the training yolo-2 (--precision bf16).
# RESULTS gets small files (tables, histories, plots, times); WHEELS is a folder with the wheels that the machine lacks. What
# computes is Keras' backend, where there is no TensorFlow PyTorch or JAX. WORK is where the study lies; SCANS is the seed of
# the scans; SUBJECTS, RESOLUTION, DIFFICULTY, CFG, BATCHES and STEPS make it smaller.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
results=$(realpath -m "$1")
work=${WORK:-$(mktemp -d)}
resolution=${RESOLUTION:-HR}
jobs=${JOBS:-$(nproc)}
mkdir -p "$results" "$work"
export PYTHONUNBUFFERED=1 PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
export XLA_PYTHON_CLIENT_PREALLOCATE=false # trainings share the GPU

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
    mkdir -p "$results/$2"
    cp "$1"/*_history.tsv "$1"/*_watch.tsv "$1"/evaluation/metrics.json "$results/$2/" || true
    said "$2: done"
}

# a cell of YOLO; $1 is the repeat, the rest is said to stage1-train
yolo() {
    local cell="$base"
    [ "$1" = 1 ] || cell="${base}_repeat-$1"
    cmb stage1-train "$cell" --seed $(($1 - 1)) "${@:2}"
    said "yolo-$1: stage 1 trained"
    cmb stage1-detect "$cell" --engine embedded
    said "yolo-$1: detected"
    follow "$cell" "yolo-$1" $(($1 - 1))
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
for training in ${TRAININGS:-yolo-1}; do
    [ "$training" = heatmap ] || cmb prepare-yolo study --fold 1 --repeat "${training#yolo-}" \
        --cfg "${CFG:-yolov2-short}" ${BATCHES:+--max-batches "$BATCHES"} --jobs "$jobs"
    case "$training" in
        heatmap) heatmap ;;
        # shellcheck disable=SC2086
        yolo-2) yolo 2 ${SECOND:-} ;;
        *) yolo "${training#yolo-}" ;;
    esac > "$results/$training.txt" 2>&1 &
done
wait
tail -n 3 "$results"/*.txt
cmb tables study | tee "$results/tables.txt"
said "done"
