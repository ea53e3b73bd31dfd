# Read by the shell before each command of the Snakefile. Its environment: CMBTK_PYTHON; CMBTK_GPUS, the numbers of
# this machine's GPUs where several jobs may use one each.

# What a command says goes into the study's logs, where names of scans do not belong.
export CMBTK_LOG_OF=.
export TF_NUM_INTRAOP_THREADS=${OMP_NUM_THREADS:-1} TF_NUM_INTEROP_THREADS=1

cmbtk() { "$CMBTK_PYTHON" -m cmb_toolkit "$@"; }

# Takes the first GPU that no other job of this study holds, for as long as the command runs.
on_a_gpu() {
    local gpu
    for gpu in ${CMBTK_GPUS:-}; do
        exec 9> "scratch/experiment/gpu-$gpu.lock"
        if flock --nonblock 9; then
            CUDA_VISIBLE_DEVICES=$gpu "$@"
            return
        fi
    done
    "$@"
}
