# shellcheck shell=bash
# The driver's dealings with Slurm: the chain of jobs, and in words where each of them stands.
# STUDY_FOLDER/logs/jobs holds a line "STEP JOB" for each job of the last chain.

mdl_jobs_file() { echo "$study_folder/logs/jobs"; }

mdl_job_of() { # STEP
    awk -v step="$1" '$1 == step {print $2}' "$(mdl_jobs_file)" 2>/dev/null || true
}

# One question to Slurm for all jobs; queue_state[ID], queue_reason[ID], queue_place[ID], or
# queue_unknown, what squeue says when it can't answer.
declare -A queue_state queue_reason queue_place
queue_unknown=''
mdl_read_queue() {
    local answer id state reason place
    queue_state=() queue_reason=() queue_place=() queue_unknown=''
    [[ -s $(mdl_jobs_file) ]] || return 0
    command -v squeue >/dev/null || return 0
    if ! answer=$(squeue -h -u "$(id -un)" -o '%A|%T|%r|%M of %l on %N' 2>&1); then
        queue_unknown=${answer//$'\n'/; }
        return 0
    fi
    while IFS='|' read -r id state reason place; do
        [[ $id =~ ^[0-9]+$ ]] || continue
        queue_state[$id]=$state queue_reason[$id]=$reason queue_place[$id]=$place
    done <<<"$answer"
}

# Seconds before the end at which a job is told to stop: two minutes, less for short jobs.
mdl_warning_seconds() {
    local limit
    limit=$(mdl_seconds "$slurm_time")
    echo $((limit >= 480 || limit == 0 ? 120 : limit / 4))
}

# The array sbatch_words: the command that queues step $1, waiting for job $2 unless it is empty.
mdl_sbatch_words() {
    local option
    mdl_find_step "$1"
    sbatch_words=(sbatch --parsable "--job-name=mordal-$study_name-$1"
        "--output=$study_folder/logs/%x-%j.log" --open-mode=append --requeue
        "--signal=B:USR1@$(mdl_warning_seconds)" "--chdir=$study_folder"
        "--nodes=$slurm_nodes" "--ntasks-per-node=$slurm_tasks_per_node"
        "--cpus-per-task=$slurm_cpus_per_task" "--time=$slurm_time")
    if ((slurm_gpus_per_node > 0)); then
        sbatch_words+=("--gpus-per-node=$slurm_gpus_per_node")
    fi
    for option in account partition qos; do
        local name=slurm_$option
        if [[ -n ${!name} ]]; then
            sbatch_words+=("--$option=${!name}")
        fi
    done
    if [[ -n $2 ]]; then
        sbatch_words+=("--dependency=afterok:$2" --kill-on-invalid-dep=yes)
    fi
    read -r -a option <<<"$slurm_extra"
    sbatch_words+=("${option[@]}" "$mdl_share/jobscripts/$step_script.sbatch"
        "$mdl_share/jobscripts" "$study_file" "$1")
}

# Queues one job, trying again while the controller is away; prints its id. A site's plugins may
# have said something before it.
mdl_sbatch() {
    local attempt answer id
    for attempt in 1 2 3 4; do
        if answer=$("${sbatch_words[@]}" 2>&1); then
            id=$(sed -nE 's/^([0-9]+)(;.*)?$/\1/p' <<<"$answer" | tail -n 1)
            [[ $id ]] || break
            echo "$id"
            return 0
        fi
        [[ $answer == *[Cc]onnect* || $answer == *"timed out"* ]] || break
        sleep $((attempt * 5))
    done
    mdl_say "sbatch gave no job: $answer"
    return 1
}

mdl_refuse_second_chain() {
    local step id
    mdl_read_queue
    [[ -z $queue_unknown ]] ||
        mdl_die 74 "Slurm doesn't say whether this study's chain is queued already:" \
            "$queue_unknown; try again once it answers"
    while read -r step id; do
        if [[ -n ${queue_state[$id]:-} ]]; then
            mdl_die 69 "this study's chain is queued already: $step is job $id" \
                "(${queue_state[$id]}); see \`mordal status\`, or end it with scancel"
        fi
    done < <(cat "$(mdl_jobs_file)" 2>/dev/null)
}

# Two submits at the same moment: one makes this file, the other stops.
mdl_lock_submit() {
    mdl_lock=$study_folder/logs/submit.lock
    mkdir -p "$study_folder/logs"
    if ! (set -o noclobber && echo "$(hostname) $$" >"$mdl_lock") 2>/dev/null; then
        mdl_die 69 "another \`mordal submit\` is at work ($(cat "$mdl_lock"));" \
            "if it isn't, remove $mdl_lock"
    fi
    trap 'rm -f "$mdl_lock"' EXIT
}

mdl_submit_chain() { # STEP...
    local step id before='' jobs submitted=()
    jobs=$(mdl_jobs_file)
    : >"$jobs.tmp"
    for step; do
        mdl_sbatch_words "$step" "$before"
        if ! id=$(mdl_sbatch); then
            if ((${#submitted[@]} > 0)); then
                scancel "${submitted[@]}"
            fi
            rm -f "$jobs.tmp"
            mdl_die 70 "no job of the chain is queued; correct the slurm section of $study_file"
        fi
        echo "$step $id" >>"$jobs.tmp"
        cp "$jobs.tmp" "$jobs.new" && mv "$jobs.new" "$jobs"
        rm -f "$study_folder/logs/state/$step"
        submitted+=("$id")
        before=$id
        printf '%-17s job %s\n' "$step" "$id"
    done
    rm -f "$jobs.tmp"
}

# A reason of squeue in words, and what to do: sets row_state, row_reason, row_advice.
mdl_explain_pending() { # REASON
    row_state=pending row_advice=''
    case $1 in
        Dependency) row_reason="waits for the step before" ;;
        DependencyNeverSatisfied)
            row_state=stuck
            row_reason="the step before failed, so this job can never start"
            row_advice="correct the cause, scancel this job, then \`mordal submit\` again" ;;
        JobHeldUser | JobHeldAdmin)
            row_state=stuck row_reason="is held (${1#JobHeld})"
            row_advice="scontrol release JOB" ;;
        BeginTime) row_reason="was queued again; Slurm starts it in about two minutes" ;;
        Priority | Resources) row_reason="waits for free nodes ($1)" ;;
        None | "") row_reason="waits for the scheduler" ;;
        ReqNodeNotAvail* | PartitionDown | PartitionInactive)
            row_reason="its nodes are down or reserved ($1)"
            row_advice="see sinfo -R; it starts once they are back" ;;
        BadConstraints | PartitionNodeLimit | PartitionTimeLimit | Invalid* | launch*)
            row_state=stuck row_reason="Slurm cannot place it ($1)"
            row_advice="correct the slurm section, scancel this job, then \`mordal submit\` again" ;;
        *Limit* | QOS* | Assoc*)
            row_reason="a limit of your account holds it back ($1)"
            row_advice="it starts when others of your jobs end, unless it asks for more than allowed" ;;
        *) row_reason="$1" ;;
    esac
}

mdl_explain_queued() { # ID STEP
    local reason=${queue_reason[$1]} remembered=''
    read -r remembered _ 2>/dev/null <"$study_folder/logs/state/$2" || true
    if [[ $remembered == requeued && $reason == None ]]; then
        reason=BeginTime # Slurm gives the reason some seconds later
    fi
    case ${queue_state[$1]} in
        PENDING) mdl_explain_pending "$reason" ;;
        RUNNING) row_state=running row_reason="${queue_place[$1]}" ;;
        SUSPENDED | STOPPED)
            row_state=stuck row_reason="is suspended"
            row_advice="scontrol resume $1" ;;
        *) row_state=running row_reason="${queue_state[$1],,}" ;;
    esac
    row_advice=${row_advice//JOB/$1}
}

# What is known of a step that isn't in the queue; row_before is the state of the step before it.
mdl_explain_remembered() { # STEP ID
    local state code digest host pid job when sentence
    {
        read -r state code digest host pid job when
        IFS= read -r sentence || true
    } 2>/dev/null <"$study_folder/logs/state/$1" || state=''
    if mdl_step_is_done "$1"; then
        row_state="done"
    elif [[ $state == "done" ]]; then
        row_state=pending row_reason="the study file or the result changed since it was done"
    elif [[ $state == failed ]]; then
        row_state=failed row_reason="exit code $code: $sentence"
        row_advice="correct the cause, then run or submit again"
    elif [[ $state == running && $job == - && $host == "$(hostname)" ]] && kill -0 "$pid" 2>/dev/null; then
        row_state=running row_reason="on this machine (process $pid)"
    elif [[ -n $2 && $queue_unknown ]]; then
        row_state=unknown row_reason="Slurm doesn't answer: $queue_unknown"
    elif [[ $state == stopped || ($state == requeued && -z $2) ]]; then
        row_state=pending row_reason="stopped with a checkpoint"
        row_advice="run or submit again; it goes on from there"
    elif [[ $state == running || $state == requeued ]]; then
        row_state=failed row_reason="ended without a word (killed, or its node died): $(mdl_last_error "$row_log")"
        row_advice="run or submit again; it goes on from its last checkpoint"
    elif [[ -n $2 && $row_before != "done" ]]; then
        row_state=pending row_reason="was cancelled, as the step before did not end well"
    elif [[ -n $2 ]]; then
        row_state=failed row_reason="was cancelled before it started"
        row_advice="submit again"
    else
        row_state=pending row_reason="not started"
    fi
}

mdl_find_log() { # STEP ID
    row_log=$study_folder/logs/$1.log
    if [[ -n $2 && -e $study_folder/logs/mordal-$study_name-$1-$2.log ]]; then
        row_log=$study_folder/logs/mordal-$study_name-$1-$2.log
    fi
    [[ -e $row_log ]] || row_log=''
}

# Sets row_state, row_job, row_reason, row_advice, row_log of step $1; the steps come in order.
row_state="done"
mdl_explain() {
    row_before=$row_state
    row_state='' row_reason='' row_advice=''
    row_job=$(mdl_job_of "$1")
    mdl_find_log "$1" "$row_job"
    if [[ -n $row_job && -n ${queue_state[$row_job]:-} ]]; then
        mdl_explain_queued "$row_job" "$1"
    else
        mdl_explain_remembered "$1" "$row_job"
    fi
}
