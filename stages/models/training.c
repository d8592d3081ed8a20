#include "models/training.h"

#include "models/pass.h"
#include "models/sample_order.h"
#include "models/workspace_memory.h"
#include "mpi/agree.h"
#include "mpi/block.h"
#include "mpi/stop.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Behind the losses in the ledger. */
enum { STOP, CHECKPOINT, FAILED, N_FLAG };

mdl_training_settings_t mdl_training_settings(const mdl_study_t *study)
{
    return (mdl_training_settings_t){
        .epochs = study->trainer.epochs,
        .batch = study->trainer.batch,
        .pack_length = study->trainer.pack_length,
        .optimiser = {.learning_rate = study->trainer.learning_rate,
                      .schedule = strcmp(study->trainer.schedule, "cosine") == 0
                                      ? MDL_SCHEDULE_COSINE
                                      : MDL_SCHEDULE_LINEAR,
                      .warmup_ratio = study->trainer.warmup_ratio,
                      .beta1 = study->trainer.beta1,
                      .beta2 = study->trainer.beta2,
                      .epsilon = study->trainer.epsilon,
                      .weight_decay = study->trainer.weight_decay,
                      .clip_norm = study->trainer.clip_norm},
        .seed = study->seed,
        .keep = study->trainer.activation_checkpointing ? MDL_KEEP_INPUTS : MDL_KEEP_ALL,
    };
}

int64_t mdl_training_total_steps(const mdl_training_settings_t *settings, int64_t n_train)
{
    return (n_train * settings->epochs + settings->batch - 1) / settings->batch;
}

int64_t mdl_training_step_at(double ratio, int64_t total_steps)
{
    int64_t step = llround(ratio * (double)total_steps);
    if (step < 1)
        return 1;
    return step > total_steps ? total_steps : step;
}

int64_t mdl_training_max_length(const mdl_training_settings_t *settings,
                                const mdl_model_config_t *config, int64_t longest)
{
    int64_t pack = settings->pack_length < config->n_max_position ? settings->pack_length
                                                                  : config->n_max_position;
    return pack > longest ? pack : longest;
}

static int check(const mdl_training_settings_t *settings, const mdl_adapter_t *adapter,
                 const mdl_features_t *features, mdl_error_t *err)
{
    if (settings->batch < 1 || settings->batch > 1 << 20 || settings->epochs < 1 ||
        settings->epochs > 1 << 20)
        return mdl_fail(err, MDL_E_INPUT,
                        "trainer.batch %lld and trainer.epochs %lld: each must be 1 to %d",
                        (long long)settings->batch, (long long)settings->epochs, 1 << 20);
    if (adapter->n_vision_feat != features->n_feat)
        return mdl_fail(err, MDL_E_INPUT, "the projector takes %lld features, the archive has %lld",
                        (long long)adapter->n_vision_feat, (long long)features->n_feat);
    if (adapter->n_param > INT_MAX)
        return mdl_fail(err, MDL_E_INPUT,
                        "%lld trained parameters are more than a step can sum; lower "
                        "trainer.lora_rank",
                        (long long)adapter->n_param);
    return MDL_OK;
}

int mdl_training_new(const mdl_training_settings_t *settings, const mdl_corpus_t *corpus,
                     const mdl_features_t *features, mdl_adapter_t *adapter,
                     mdl_workspace_t *workspace, mdl_training_t **training, mdl_error_t *err)
{
    mdl_training_t *made = NULL;
    size_t n_byte = (size_t)adapter->n_param * sizeof(float);
    int rc;
    MDL_TRY(check(settings, adapter, features, err));
    size_t n_place = (size_t)settings->batch;
    MDL_TRY(mdl_alloc(&made, 1, sizeof *made, "training", err));
    *made = (mdl_training_t){.settings = *settings,
                             .backend = adapter->backend,
                             .corpus = corpus,
                             .features = features,
                             .adapter = adapter,
                             .workspace = workspace,
                             .total_steps = mdl_training_total_steps(settings, corpus->n_train),
                             .n_level = 2,
                             .order_epoch = -1};
    while ((int64_t)1 << (made->n_level - 1) < settings->batch)
        made->n_level++;
    MDL_TRY(adapter->backend->alloc(&made->adam_m, n_byte, "Adam moments", err));
    MDL_TRY(adapter->backend->alloc(&made->adam_v, n_byte, "Adam moments", err));
    MDL_TRY(
        adapter->backend->alloc(&made->sums, (size_t)made->n_level * n_byte, "gradient sums", err));
    MDL_TRY(mdl_rank_sum_open(&made->ranks, adapter->backend, adapter->n_param, err));
    MDL_TRY(
        mdl_alloc(&made->order, (size_t)corpus->n_train, sizeof *made->order, "sample order", err));
    MDL_TRY(mdl_alloc(&made->place, n_place, sizeof *made->place, "batch", err));
    MDL_TRY(mdl_alloc(&made->length, n_place, sizeof *made->length, "batch", err));
    MDL_TRY(mdl_packs_new(&made->packs, settings->batch, err));
    MDL_TRY(mdl_alloc(&made->pack, n_place, sizeof *made->pack, "batch", err));
    MDL_TRY(mdl_alloc(&made->ledger, n_place + N_FLAG, sizeof *made->ledger, "batch", err));
    *training = made;
    made = NULL;
done:
    mdl_training_free(made);
    return rc;
}

void mdl_training_free(mdl_training_t *training)
{
    if (training == NULL)
        return;
    training->backend->release(training->adam_m);
    training->backend->release(training->adam_v);
    training->backend->release(training->sums);
    mdl_rank_sum_close(&training->ranks);
    free(training->order);
    free(training->place);
    free(training->length);
    mdl_packs_free(&training->packs);
    free(training->pack);
    free(training->ledger);
    free(training);
}

mdl_sample_t mdl_training_sample(const mdl_corpus_t *corpus, const mdl_features_t *features,
                                 int64_t sample)
{
    int64_t first = corpus->offset[sample];
    return (mdl_sample_t){.n_token = corpus->offset[sample + 1] - first,
                          .token = corpus->token + first,
                          .scored = corpus->scored + first,
                          .visual_at = corpus->visual_at[sample],
                          .n_visual = features->n_visual,
                          .feature = mdl_features_of(features, sample)};
}

/* The packs of the step's places, a function of their samples alone. */
static void make_packs(mdl_training_t *training)
{
    int64_t room = training->workspace->max_length, capacity = training->settings.pack_length;
    for (int64_t i = 0; i < training->settings.batch; i++) {
        int64_t sample = training->place[i];
        training->length[i] = 0;
        if (sample < 0)
            continue;
        mdl_sample_t one = mdl_training_sample(training->corpus, training->features, sample);
        training->length[i] = mdl_pass_n_needed(&one);
    }
    mdl_packs_fill(&training->packs, training->length, capacity < room ? capacity : room);
}

/* Fills place with the samples of the next step and returns their number of scored tokens. */
static int64_t take_batch(mdl_training_t *training)
{
    const mdl_corpus_t *corpus = training->corpus;
    int64_t n_run = corpus->n_train * training->settings.epochs, n_scored = 0;
    for (int64_t i = 0; i < training->settings.batch; i++) {
        int64_t position = training->step * training->settings.batch + i;
        training->place[i] = -1;
        if (position >= n_run)
            continue;
        int64_t epoch = position / corpus->n_train;
        if (epoch != training->order_epoch)
            mdl_sample_order(training->order, corpus->n_train, training->settings.seed, epoch);
        training->order_epoch = epoch;
        training->place[i] = corpus->train[training->order[position % corpus->n_train]];
        n_scored += mdl_corpus_n_scored(corpus, training->place[i]);
    }
    return n_scored;
}

/* The packs [*first, *end) of n that rank owns: a branch of the tree where n_rank is a power of
 * two, a block otherwise. */
static void own_packs(int64_t n, int n_rank, int rank, int64_t *first, int64_t *end)
{
    if ((n_rank & (n_rank - 1)) != 0) {
        mdl_block_range(n, n_rank, rank, first, end);
        return;
    }
    *first = 0;
    *end = n;
    for (int bit = n_rank / 2; bit > 0; bit /= 2) {
        int64_t middle = *first + (*end - *first + 1) / 2;
        if (rank & bit)
            *first = middle;
        else
            *end = middle;
    }
}

/* The samples of a pack, checked, into training->pack. */
static int gather_pack(mdl_training_t *training, int64_t pack, int64_t *n_sample, mdl_error_t *err)
{
    const mdl_packs_t *packs = &training->packs;
    *n_sample = 0;
    for (int64_t i = packs->begin[pack]; i < packs->begin[pack + 1]; i++) {
        int64_t sample = training->place[packs->member[i]];
        if (sample < 0)
            continue;
        mdl_sample_t *one = &training->pack[(*n_sample)++];
        *one = mdl_training_sample(training->corpus, training->features, sample);
        if (mdl_pass_check(training->workspace, one, 0, err) != MDL_OK)
            return mdl_error_prefix(err, "%s: sample %lld", training->corpus->path,
                                    (long long)sample);
    }
    return MDL_OK;
}

/* The gradient of one pack into sum; adding 0 turns -0 into 0, as adding an empty branch does. */
static int sum_pack(mdl_training_t *training, int64_t pack, double scale, float *sum,
                    mdl_error_t *err)
{
    const mdl_backend_t *be = training->backend;
    mdl_adapter_t *adapter = training->adapter;
    size_t n_byte = (size_t)adapter->n_param * sizeof *sum;
    int64_t n_sample;
    int rc;
    be->zero(sum, n_byte);
    MDL_TRY(gather_pack(training, pack, &n_sample, err));
    if (n_sample == 0)
        goto done;
    be->zero(adapter->grad, n_byte);
    MDL_TRY(mdl_pack_gradient(training->workspace, training->pack, n_sample, scale,
                              &training->ledger[pack], err));
    be->vector_add(sum, adapter->grad, adapter->n_param);
done:
    return rc;
}

/* The gradient of the packs [first, end) into the sum of level; deeper levels are scratch. */
static int sum_branch(mdl_training_t *training, int64_t first, int64_t end, double scale,
                      int64_t level, mdl_error_t *err)
{
    int64_t n_param = training->adapter->n_param;
    float *sum = training->sums + level * n_param;
    if (end - first == 0) {
        training->backend->zero(sum, (size_t)n_param * sizeof *sum);
        return MDL_OK;
    }
    if (end - first == 1)
        return sum_pack(training, first, scale, sum, err);
    int64_t middle = first + (end - first + 1) / 2;
    int rc = sum_branch(training, first, middle, scale, level, err);
    if (rc == MDL_OK)
        rc = sum_branch(training, middle, end, scale, level + 1, err);
    if (rc == MDL_OK)
        training->backend->vector_add(sum, sum + n_param, n_param);
    return rc;
}

static int apply(mdl_training_t *training, MPI_Comm group, mdl_error_t *err)
{
    int rc = mdl_rank_sum(&training->ranks, group, training->sums,
                          training->sums + training->adapter->n_param, err);
    if (rc == MDL_OK)
        rc = mdl_optimiser_step(training->backend, &training->settings.optimiser,
                                training->adapter->param, training->sums, training->adam_m,
                                training->adam_v, training->adapter->n_param, training->step,
                                training->total_steps, err);
    training->step += rc == MDL_OK;
    return rc;
}

int mdl_training_step(mdl_training_t *training, MPI_Comm group, int ask_checkpoint,
                      mdl_step_t *step, mdl_error_t *err)
{
    int64_t batch = training->settings.batch, first, end;
    double *flag = training->ledger + batch;
    int rank, n_rank;
    MPI_Comm_rank(group, &rank);
    MPI_Comm_size(group, &n_rank);
    memset(training->ledger, 0, (size_t)(batch + N_FLAG) * sizeof *training->ledger);
    int64_t n_scored = take_batch(training);
    make_packs(training);
    own_packs(training->packs.n_pack, n_rank, rank, &first, &end);
    int rc = sum_branch(training, first, end, 1 / (double)n_scored, 0, err);
    flag[STOP] = mdl_stop_wanted();
    flag[CHECKPOINT] = rank == 0 && ask_checkpoint;
    flag[FAILED] = rc != MDL_OK;
    /* Each loss is 0 on all ranks but one, so that this sum is exact in any order. */
    MPI_Allreduce(MPI_IN_PLACE, training->ledger, (int)(batch + N_FLAG), MPI_DOUBLE, MPI_SUM,
                  group);
    if (flag[FAILED] > 0)
        return mdl_agree(group, rc, err);
    *step = (mdl_step_t){.stop = flag[STOP] > 0, .checkpoint = flag[CHECKPOINT] > 0};
    for (int64_t i = 0; i < batch; i++)
        step->loss += training->ledger[i];
    step->loss /= (double)n_scored;
    if (!isfinite(step->loss))
        return mdl_fail(err, MDL_E_TRAINER,
                        "step %lld: the loss is %g: training diverged; lower "
                        "trainer.learning_rate",
                        (long long)training->step + 1, step->loss);
    return mdl_agree(group, apply(training, group, err), err);
}

int mdl_training_warm_up(const mdl_training_settings_t *settings, const mdl_decoder_t *decoder,
                         const mdl_corpus_t *corpus, const mdl_features_t *features, int64_t n_step,
                         mdl_adapter_t **adapter, mdl_error_t *err)
{
    const mdl_adapter_options_t projector_alone = {0};
    const mdl_model_config_t *config = mdl_decoder_config(decoder);
    mdl_adapter_t *made = NULL;
    mdl_workspace_t *workspace = NULL;
    mdl_training_t *training = NULL;
    int rc;
    MDL_TRY(mdl_adapter_new(mdl_decoder_backend(decoder), config, features->n_feat,
                            &projector_alone, settings->seed, &made, err));
    MDL_TRY(mdl_workspace_new(
        decoder, made,
        mdl_training_max_length(settings, config, corpus->max_length + features->n_visual),
        settings->keep, &workspace, err));
    MDL_TRY(mdl_training_new(settings, corpus, features, made, workspace, &training, err));
    for (int64_t i = 0; i < n_step && training->step < training->total_steps; i++) {
        mdl_step_t step;
        MDL_TRY(mdl_training_step(training, MPI_COMM_SELF, 0, &step, err));
    }
    *adapter = made;
    made = NULL;
done:
    mdl_training_free(training);
    mdl_workspace_free(workspace);
    mdl_adapter_free(made);
    return rc;
}
