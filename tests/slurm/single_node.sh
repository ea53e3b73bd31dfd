#!/usr/bin/env bash
# A real SLURM of one node, this machine, to try `cmbtk experiment run --executor slurm` on: no cluster, no systemd.
#
#   apt install slurm-wlm munge            # Debian and Ubuntu; the rest as root as well
#   tests/slurm/single_node.sh start
#   sinfo; pytest -m slurm; ...
#   tests/slurm/single_node.sh stop
#
# Configuration, state and logs lie in /tmp/cmbtk-slurm (or CMBTK_SLURM). /etc/slurm/slurm.conf becomes a link to that
# configuration, since jobs look for it there; a machine that has one of its own is left alone.
set -euo pipefail

folder=${CMBTK_SLURM:-/tmp/cmbtk-slurm}
conf=$folder/slurm.conf
system=/etc/slurm/slurm.conf

die() { echo "single_node.sh: $*" >&2; exit 1; }

stop() {
    for daemon in slurmd slurmctld munged; do
        if [ -s "$folder/$daemon.pid" ]; then
            kill "$(cat "$folder/$daemon.pid")" 2>/dev/null || true
            rm -f "$folder/$daemon.pid"
        fi
    done
    if [ "$(readlink "$system" 2>/dev/null)" = "$conf" ]; then rm -f "$system"; fi
}

configure() {
    local host; host=$(hostname -s)
    mkdir -p "$folder/spool" "$folder/state"
    cat > "$conf" <<EOF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ReturnToService=2
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmdSpoolDir=$folder/spool
StateSaveLocation=$folder/state
SlurmctldPort=16817
SlurmdPort=16818
MpiDefault=none
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
}

start() {
    [ "$(id -u)" = 0 ] || die "must be run as root"
    for tool in munged slurmctld slurmd sbatch; do
        command -v "$tool" >/dev/null || die "$tool not found: apt install slurm-wlm munge"
    done
    stop
    [ ! -e "$system" ] || die "$system exists: this machine has a SLURM of its own"
    mkdir -p "$(dirname "$system")"
    configure
    # munged is particular about who owns what it uses
    [ -s "$folder/munge.key" ] || head -c 1024 /dev/urandom > "$folder/munge.key"
    chmod 600 "$folder/munge.key"
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munged.log" --seed-file="$folder/munged.seed"
    ln -s "$conf" "$system"
    slurmctld -c -f "$conf"
    slurmd -f "$conf"
    for _ in $(seq 60); do
        if [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ]; then
            echo "SLURM is up: one node, $(nproc) processors, partition main."
            return
        fi
        sleep 0.5
    done
    tail -n 5 "$folder"/*.log >&2
    die "SLURM did not come up; the logs are in $folder"
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    *) die "usage: single_node.sh start|stop" ;;
esac
