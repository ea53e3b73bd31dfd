#!/usr/bin/env bash
# The whole method at full size, as README has it: one fold of simulated scans at --difficulty paper, every command with its
# defaults, so on two processors those for a CPU. docs/reproduce.md has what came of it.
#
#   . .venv/bin/activate
#   bash benchmarks/full_size.sh FOLDER                         # again after anything that happened
#   RESOLUTION=LR SCANS=2 SEED=3 SUBJECTS=60 bash benchmarks/full_size.sh FOLDER
#
# SCANS is the seed of the scans, SEED that of the trainings, PREPARE the options of prepare-yolo (--cfg medium).
set -euo pipefail

resolution=${RESOLUTION:-HR}
seed=${SEED:-0}
repeat=$((seed + 1))
mkdir -p "$1"
cd "$1"

step() { # a line with what each command took
    local started=$SECONDS
    cmbtk "$@"
    printf '%s\t%s\t%s\n' "$1" "$seed" $((SECONDS - started)) >> seconds.tsv
}

cell="study/cells/${resolution}_swi+cphase-averaged_fold-1"
[ "$repeat" = 1 ] || cell="${cell}_repeat-$repeat"

step simulate study --resolution "$resolution" --subjects "${SUBJECTS:-40}" --healthy 4 --difficulty paper --seed "${SCANS:-1}"
step preprocess study
step split study --folds 5
# shellcheck disable=SC2086
step prepare-yolo study --fold 1 --repeat "$repeat" ${PREPARE:---cfg medium}
step stage1-train "$cell" --seed "$seed"
step stage1-detect "$cell"
step stage2-crop "$cell"
step stage2-train "$cell" --seed "$seed"
step stage2-classify "$cell"
step evaluate "$cell"
cmbtk tables study
