# shellcheck shell=bash
# The body of every job script: one step of a study inside a Slurm allocation.

# Slurm before 23.02 doesn't tell a job its end: ask once. The stages stop in time for it.
mdl_find_end() {
    local left
    if [[ -z ${SLURM_JOB_END_TIME:-} ]]; then
        left=$(squeue -h -j "$SLURM_JOB_ID" -o %L 2>/dev/null | tr -d ' ') || left=
        left=$(mdl_seconds "$left")
        if ((left > 0)); then
            export SLURM_JOB_END_TIME=$(($(date +%s) + left))
        fi
    fi
}

mdl_time_left() {
    echo $((${SLURM_JOB_END_TIME:-$(($(date +%s) + 3600))} - $(date +%s)))
}

# A stage that stopped with a checkpoint goes on: here when there is time, else in a next job of
# the same id, so that the jobs after it still wait for it.
mdl_next_job() {
    local restarts=${SLURM_RESTART_COUNT:-0}
    if [[ $mdl_stopped == TERM ]]; then
        mdl_remember "$1" stopped "$mdl_again" "stopped by scancel or preemption"
        exit "$mdl_again"
    fi
    if ((restarts >= slurm_max_requeues)); then
        mdl_remember "$1" failed "$mdl_again" \
            "went on in $restarts next jobs and isn't done: raise slurm.time or slurm.max_requeues"
        exit "$mdl_again"
    fi
    mdl_remember "$1" requeued "$mdl_again" "goes on in a next job (number $((restarts + 1)))"
    mdl_say "$1: goes on in the next job (number $((restarts + 1)) of at most $slurm_max_requeues)"
    if ! scontrol requeue "$SLURM_JOB_ID"; then
        mdl_remember "$1" failed "$mdl_again" \
            "stopped with a checkpoint but scontrol could not requeue it"
    fi
    sleep 60 # Slurm ends this job to queue it again
    exit "$mdl_again"
}

# GPUs of this allocation, or its ranks where it has none.
mdl_devices() {
    if ((slurm_gpus_per_node > 0)); then
        echo $((slurm_gpus_per_node * ${SLURM_JOB_NUM_NODES:-1}))
    else
        echo "${SLURM_NTASKS:-1}"
    fi
}

# mdl_job STUDY STEP: reads the study, runs the step, remembers how it ended.
mdl_job() {
    local step=$2 code attempt
    mdl_read_study "$1"
    mdl_find_step "$step"
    mdl_launcher ""
    mdl_find_end
    mdl_say "$step: job $SLURM_JOB_ID on ${SLURM_JOB_NODELIST:-?}," \
        "restart ${SLURM_RESTART_COUNT:-0}, $(mdl_time_left) s left"
    for ((attempt = 1; attempt <= 100; attempt++)); do
        mdl_remember "$step" running 0 ""
        code=0
        mdl_accounted_attempt "$step" "$(mdl_devices)" "${launch[@]}" "${step_command[@]}" || code=$?
        [[ $code -eq $mdl_again ]] || break
        if [[ $mdl_stopped == TERM ]] || (($(mdl_time_left) < 300)); then
            mdl_next_job "$step"
        fi
    done
    if [[ $code -eq 0 ]]; then
        mdl_remember "$step" "done" 0 ""
    else
        mdl_remember "$step" failed "$code" "$(mdl_why "$code" "$(mdl_job_log "$step")")"
    fi
    exit "$code"
}

mdl_job_log() {
    echo "$study_folder/logs/${SLURM_JOB_NAME:-mordal}-$SLURM_JOB_ID.log"
}
