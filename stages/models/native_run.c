#include "models/native_run.h"

#include "core/log.h"
#include "mpi/agree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int mdl_native_adapter_options(const mdl_study_t *study, mdl_adapter_options_t *options,
                               mdl_error_t *err)
{
    *options = (mdl_adapter_options_t){.rank = study->trainer.lora_rank,
                                       .alpha = study->trainer.lora_alpha};
    for (unsigned i = 0; i < study->trainer.n_lora_target; i++) {
        uint32_t target;
        int rc = mdl_linear_targets(study->trainer.lora_targets[i], &target, err);
        if (rc != MDL_OK)
            return mdl_error_prefix(err, "trainer.lora_targets");
        options->targets |= target;
    }
    return MDL_OK;
}

static int name_tensors(mdl_native_run_t *run, mdl_error_t *err)
{
    const mdl_adapter_t *adapter = run->adapter;
    int rc = mdl_alloc(&run->tensors, (size_t)adapter->n_slice, sizeof *run->tensors,
                       "checkpoint layout", err);
    for (int64_t i = 0; rc == MDL_OK && i < adapter->n_slice; i++) {
        const mdl_slice_t *slice = &adapter->slice[i];
        run->tensors[i] =
            (mdl_checkpoint_tensor_t){slice->name,
                                      slice->offset,
                                      slice->n_dim,
                                      {slice->dims[0], slice->n_dim == 2 ? slice->dims[1] : 0}};
    }
    return rc;
}

int64_t mdl_native_max_length(const mdl_study_t *study, const mdl_model_config_t *config,
                              const mdl_corpus_t *corpus, int64_t n_visual)
{
    mdl_training_settings_t settings = mdl_training_settings(study);
    int64_t answered = corpus->max_prompt + study->trainer.max_answer_tokens;
    int64_t longest = answered > corpus->max_length ? answered : corpus->max_length;
    return mdl_training_max_length(&settings, config, n_visual + longest);
}

/* Samples that are measured together: one, or where a pass fetches the blocks from other ranks, as
 * many as take no more memory than training does. */
static int64_t n_together(const mdl_native_run_t *run, mdl_workspace_keep_t keep,
                          int64_t n_position)
{
    const mdl_backend_t *be = run->inputs->backend;
    const mdl_model_config_t *config = mdl_decoder_config(run->inputs->decoder);
    const mdl_adapter_t *adapter = run->adapter;
    int n_rank;
    MPI_Comm_size(run->group, &n_rank);
    if (mdl_native_inputs_n_shard(run->study, be->on_host, n_rank) == 0)
        return 1;
    int64_t n = (int64_t)(mdl_workspace_n_byte(be->room, config, adapter->n_vision_feat,
                                               adapter->rank, n_position, keep) /
                          mdl_workspace_n_byte(be->room, config, adapter->n_vision_feat,
                                               adapter->rank, n_position, MDL_KEEP_KEYS));
    int64_t share = (run->inputs->corpus->n_eval + n_rank - 1) / n_rank;
    n = n < share ? n : share;
    n = n < MDL_MOST_TOGETHER ? n : MDL_MOST_TOGETHER;
    return n > 1 ? n : 1;
}

static int make_workspaces(mdl_native_run_t *run, int train, mdl_error_t *err)
{
    const mdl_decoder_t *decoder = run->inputs->decoder;
    mdl_workspace_keep_t keep = mdl_training_settings(run->study).keep;
    int64_t n_position =
        mdl_native_max_length(run->study, mdl_decoder_config(decoder), run->inputs->corpus,
                              run->inputs->features->n_visual);
    int64_t n = train ? 1 : n_together(run, keep, n_position);
    int rc = MDL_OK;
    while (rc == MDL_OK && run->n_together < n) {
        rc = mdl_workspace_new(decoder, run->adapter, n_position, train ? keep : MDL_KEEP_KEYS,
                               &run->together[run->n_together], err);
        run->n_together += rc == MDL_OK;
    }
    run->workspace = run->together[0];
    return rc;
}

static int prepare(mdl_native_run_t *run, const mdl_candidate_t *candidate, int train,
                   mdl_error_t *err)
{
    mdl_adapter_options_t options;
    mdl_training_settings_t settings = mdl_training_settings(run->study);
    int rc;
    run->folder = mdl_study_path(run->study, "candidates/%s+%s", candidate->ve, candidate->lm);
    if (run->folder == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
        goto done;
    }
    MDL_TRY(mdl_native_adapter_options(run->study, &options, err));
    MDL_TRY(mdl_adapter_new(mdl_decoder_backend(run->inputs->decoder),
                            mdl_decoder_config(run->inputs->decoder), run->inputs->features->n_feat,
                            &options, run->study->seed, &run->adapter, err));
    MDL_TRY(make_workspaces(run, train, err));
    MDL_TRY(mdl_training_new(&settings, run->inputs->corpus, run->inputs->features, run->adapter,
                             run->workspace, &run->training, err));
    MDL_TRY(mdl_alloc(&run->state, 3, (size_t)run->adapter->n_param * sizeof *run->state,
                      "a checkpoint", err));
    rc = name_tensors(run, err);
done:
    return rc;
}

int mdl_native_run_open(mdl_native_run_t *run, MPI_Comm group, mdl_native_inputs_t *inputs,
                        const mdl_candidate_t *candidate, char *configuration, int train,
                        mdl_error_t *err)
{
    *run = (mdl_native_run_t){
        .group = group, .study = inputs->study, .inputs = inputs, .configuration = configuration};
    snprintf(run->name, sizeof run->name, "%s+%s", candidate->ve, candidate->lm);
    MPI_Comm_rank(group, &run->rank);
    int rc = mdl_native_inputs_use(inputs, group, candidate, err);
    return rc == MDL_OK ? mdl_agree(group, prepare(run, candidate, train, err), err) : rc;
}

void mdl_native_run_close(mdl_native_run_t *run)
{
    mdl_training_free(run->training);
    for (int64_t i = 0; i < run->n_together; i++)
        mdl_workspace_free(run->together[i]);
    mdl_adapter_free(run->adapter);
    free(run->tensors);
    free(run->state);
    free(run->folder);
    free(run->configuration);
    *run = (mdl_native_run_t){0};
}

static mdl_checkpoint_t state_of(mdl_native_run_t *run)
{
    int64_t n_param = run->adapter->n_param;
    return (mdl_checkpoint_t){.step = run->training->step,
                              .total_steps = run->training->total_steps,
                              .train_seconds = run->train_seconds,
                              .n_tensor = run->adapter->n_slice,
                              .tensor = run->tensors,
                              .param = run->state,
                              .adam_m = run->state + n_param,
                              .adam_v = run->state + 2 * n_param};
}

/* Copies the state in the host's memory to or from where the training works on it. */
static int copy_state(mdl_native_run_t *run, int to_training, mdl_error_t *err)
{
    const mdl_backend_t *be = run->adapter->backend;
    float *const parts[] = {run->adapter->param, run->training->adam_m, run->training->adam_v};
    int64_t n_param = run->adapter->n_param;
    size_t n_byte = (size_t)n_param * sizeof *run->state;
    int rc = MDL_OK;
    for (int i = 0; rc == MDL_OK && i < 3; i++)
        rc = to_training ? be->upload(parts[i], run->state + i * n_param, n_byte, err)
                         : be->download(run->state + i * n_param, parts[i], n_byte, err);
    return rc;
}

int mdl_native_run_resume(mdl_native_run_t *run, int64_t max_step, mdl_error_t *err)
{
    mdl_checkpoint_t state = state_of(run);
    int n_param = (int)run->adapter->n_param;
    int rc = mdl_on_root(
        run->group, run->rank,
        mdl_checkpoint_read_newest(run->folder, run->configuration, max_step, &state, err), err);
    if (rc != MDL_OK)
        return rc;
    MPI_Bcast(&state.step, 1, MPI_INT64_T, 0, run->group);
    if (state.step == 0)
        return MDL_OK;
    MPI_Bcast(&state.train_seconds, 1, MPI_DOUBLE, 0, run->group);
    MPI_Bcast(state.param, n_param, MPI_FLOAT, 0, run->group);
    MPI_Bcast(state.adam_m, n_param, MPI_FLOAT, 0, run->group);
    MPI_Bcast(state.adam_v, n_param, MPI_FLOAT, 0, run->group);
    run->training->step = state.step;
    run->train_seconds = state.train_seconds;
    return mdl_agree(run->group, copy_state(run, 1, err), err);
}

static int save_on_root(mdl_native_run_t *run, mdl_error_t *err)
{
    mdl_checkpoint_t state = state_of(run);
    int rc = copy_state(run, 0, err);
    if (rc == MDL_OK)
        rc = mdl_checkpoint_write(run->folder, run->configuration, &state, err);
    return rc == MDL_OK ? mdl_checkpoint_prune(run->folder, run->kept, run->n_kept, err) : rc;
}

int mdl_native_run_train(mdl_native_run_t *run, int64_t target, double *seconds, mdl_error_t *err)
{
    mdl_training_t *training = run->training;
    double before = run->train_seconds, start = MPI_Wtime(), saved = start;
    double every = run->study->trainer.checkpoint_seconds;
    int rc = MDL_OK;
    while (rc == MDL_OK && training->step < target) {
        mdl_step_t step;
        int due = every > 0 && MPI_Wtime() - saved > every;
        MDL_TRY(mdl_training_step(training, run->group, due, &step, err));
        int there = training->step == target;
        if (!there && !step.checkpoint && !step.stop)
            continue;
        saved = MPI_Wtime();
        run->train_seconds = before + saved - start;
        MDL_TRY(mdl_on_root(run->group, run->rank, save_on_root(run, err), err));
        if (run->rank == 0)
            mdl_log_rank(MDL_LOG_VERBOSE, "%s: step %lld of %lld, loss %.4f, checkpoint", run->name,
                         (long long)training->step, (long long)training->total_steps, step.loss);
        if (step.stop && !there)
            rc = mdl_fail(err, MDL_E_AGAIN,
                          "%s: stopped at step %lld of %lld with a checkpoint; run the same "
                          "command again to go on",
                          run->name, (long long)training->step, (long long)training->total_steps);
    }
done:
    *seconds = MPI_Wtime() - start;
    MPI_Bcast(seconds, 1, MPI_DOUBLE, 0, run->group);
    return rc;
}
