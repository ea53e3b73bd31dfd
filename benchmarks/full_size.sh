#!/usr/bin/env bash
# One fold of full-size HR scans with the paper's YOLOv2, shortly trained, as docs/reproduce.md tells of: three hours on two
# processors, most of it the training of stage 1. A second, short training of the same weights asks for better centres.
#
#   . .venv/bin/activate
#   bash benchmarks/full_size.sh FOLDER      # again after anything that happened
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
cell=HR_swi+cphase-averaged_fold-1

fold() {
    cmbtk experiment run study --settings "$1" --only table-5 --fold 1
    cmbtk experiment report study
    cmbtk tables study
}

cmbtk simulate study --resolution HR --subjects 40 --healthy 4 --difficulty easy --seed 3
if [ ! -e first ]; then
    fold "$here/full_size.toml"
    rm -rf first.tmp
    cp -r "study/cells/$cell" first.tmp
    mv first.tmp first
fi

sed -e 's/^coord_scale=.*/coord_scale=20/' -e 's/^learning_rate=.*/learning_rate=0.0007/' \
    -e 's/^max_batches=.*/max_batches=380/' -e 's/^burn_in=.*/burn_in=20/' -e 's/^steps=.*/steps=240,330/' \
    "$here/../cfg/yolov2-short.cfg" > centres.cfg
{
    sed 's/^cfg = .*/cfg = "centres.cfg"/' "$here/full_size.toml"
    printf '\n[stage1-train]\nweights = "first/yolo.weights"\n'
} > centres.toml
fold centres.toml
