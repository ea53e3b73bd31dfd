#!/usr/bin/env bash
# The whole method at full size, as README has it: one fold of simulated scans at --difficulty paper, every command with its
# defaults, so on two processors those for a CPU. docs/reproduce.md has what came of it.
#
#   . .venv/bin/activate
#   bash benchmarks/full_size.sh FOLDER                         # again after anything that happened
#   RESOLUTION=LR SCANS=2 SEED=3 SUBJECTS=60 bash benchmarks/full_size.sh FOLDER
#   RIVALS="heatmap frst kuijf liu chen dou" bash benchmarks/full_size.sh FOLDER      # and Table 9's other methods
#
# SCANS is the seed of the scans, SEED that of the trainings, PREPARE the options of prepare-yolo (--cfg medium). What
# each command took stands in FOLDER/seconds.tsv.
set -euo pipefail

resolution=${RESOLUTION:-HR}
seed=${SEED:-0}
repeat=$((seed + 1))
mkdir -p "$1"
cd "$1"

step() { # a line with what each command took
    local started=$SECONDS
    cmbtk "$@"
    printf '%s\tcmbtk %s\n' $((SECONDS - started)) "$*" >> seconds.tsv
}

cell() { # of a method, as the toolkit names it
    local name="study/cells/${resolution}_${1}_fold-1"
    [ "$repeat" = 1 ] || name="${name}_repeat-$repeat"
    echo "$name"
}

stage2() {
    step stage2-crop "$1"
    step stage2-train "$1" --seed "$seed"
    step stage2-classify "$1"
}

step simulate study --resolution "$resolution" --subjects "${SUBJECTS:-40}" --healthy 4 --difficulty paper --seed "${SCANS:-1}"
step preprocess study
step split study --folds 5
# shellcheck disable=SC2086
step prepare-yolo study --fold 1 --repeat "$repeat" ${PREPARE:---cfg medium}
yolo=$(cell swi+cphase-averaged)
step stage1-train "$yolo" --seed "$seed"
step stage1-detect "$yolo"
stage2 "$yolo"
step evaluate "$yolo"

for method in ${RIVALS:-}; do
    case $method in # those whose first stage learns
        dou | heatmap | hong | wang) step "$method" study --fold 1 --repeat "$repeat" --seed "$seed" ;;
        *) step "$method" study --fold 1 --repeat "$repeat" ;;
    esac
    case $method in # these decide alone
        hong | kuijf | wang) ;;
        *) stage2 "$(cell "$method")" ;;
    esac
    step evaluate "$(cell "$method")"
done

cmbtk tables study
for method in ${RIVALS:-}; do
    cmbtk compare "$yolo" "$(cell "$method")"
done
