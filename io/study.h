/* The study file (STUDY.yaml) as a struct. Every key with unit and default: docs/study.md.
 * Names of models match [A-Za-z0-9._-]+, so that VE+LM names a candidate and its folder. */
#ifndef MDL_IO_STUDY_H
#define MDL_IO_STUDY_H

#include "core/error.h"

#include <mpi.h>
#include <stdint.h>

typedef enum { MDL_TRAINER_NATIVE, MDL_TRAINER_COMMAND, MDL_TRAINER_REPLAY } mdl_trainer_kind_t;

typedef struct {
    char *name;
    char *activations; /* .npy, .safetensors[#TENSOR] or .h5[#DATASET] to import; path, or NULL */
    char *checkpoint;  /* folder of the encoder, to be run on zoo.images; path, or NULL */
    int64_t layer;     /* with checkpoint: block whose output is taken; 0: the family's */
    char *pooling;     /* with checkpoint: mean | cls | patches; NULL = mean */
} mdl_study_vision_t;

typedef struct {
    char *name;
    char *checkpoint; /* folder with config.json and model.safetensors; path */
    char *corpus;     /* HDF5 corpus tokenised for this model; path */
} mdl_study_language_t;

typedef struct {
    char *name;
    uint64_t seed;
    char *folder; /* of the study file: where results go; made by the loader, absolute */

    struct {
        mdl_study_vision_t *vision;
        unsigned n_vision;
        mdl_study_language_t *language;
        unsigned n_language;
        char *sample_ids; /* text file, one id a line, in the row order of the activations */
        char *images;     /* folder or HDF5 file, for encoders with a checkpoint */
    } zoo;

    struct {
        char *estimator; /* biased | unbiased | minibatch */
        char *kernel;    /* linear | rbf */
        int64_t batch;   /* rows a batch of the minibatch estimator */
        char *stop;      /* none | clusters: read until they are settled */
        double alpha;    /* chance that they are settled wrongly */
        int gram_cache;  /* keep Gram matrices under cka/grams */
        char *backend;   /* auto | cpu | cuda */
    } similarity;

    struct {
        char *linkage;             /* average | complete | single */
        double vision_threshold;   /* similarity, paper .7 */
        double language_threshold; /* similarity, paper .8 */
        int64_t warmup_rounds;     /* optimiser steps of the projector before extraction */
        int64_t samples;           /* evaluation samples whose last hidden state is extracted */
        char *pooling;             /* mean | last */
    } clusters;

    struct {
        char *strategy;     /* paper | interval | cross */
        double start_ratio; /* b of the paper: share of the alignment data of the first rung */
        double eta;         /* keep 1/eta, multiply the ratio by eta */
        double max_ratio;   /* R */
        int64_t keep;       /* K clusters */
        double confidence;  /* of the intervals that interval and cross cut by */
        double floor;       /* ratio before which they cut no slow starter */
    } search;

    struct {
        char *method;       /* pooled | calibrated-slope | last-value | log-linear | power-law */
        double divisor;     /* u: next smaller ratio = ratio / u */
        int64_t points;     /* p: fit once there are more than p points */
        double tolerance;   /* delta: mean squared residual of the fit in log error */
        int64_t max_points; /* never more points than this */
        double confidence;  /* of the interval */
        int train_choice;   /* train the choice to ratio 1 and measure it */
    } regress;

    struct {
        mdl_trainer_kind_t kind;
        int64_t ranks_per_candidate; /* 0 = as many as there are to share out, a power of two */
        double checkpoint_seconds;
        char *precision; /* float32 | bfloat16: of frozen matrices and their products */
        char *backend;   /* cpu | cuda | auto | strict: where models compute */
        int activation_checkpointing; /* keep the blocks' inputs and compute the blocks again */
        int shard;                    /* a candidate's frozen weights over its group's ranks */

        int64_t epochs, batch; /* passes over the alignment set at ratio 1; samples a step */
        int64_t pack_length;   /* positions of samples that pass together, 0 = one at a time */
        double learning_rate, beta1, beta2, epsilon;
        char *schedule;      /* linear | cosine: how the learning rate falls */
        double warmup_ratio; /* share of the alignment run over which it rises from 0 */
        double weight_decay; /* decoupled, as AdamW's */
        double clip_norm;    /* longest gradient; 0 = any */
        int64_t lora_rank;   /* 0 = projector alone */
        double lora_alpha;
        char **lora_targets;
        unsigned n_lora_target;
        int64_t max_answer_tokens; /* greedy decoding stops here */

        char *command;             /* command trainer: shell command line */
        double command_time_limit; /* seconds for one call, then it is ended */
        int64_t command_tries;

        char *curves; /* replay trainer: CSV */
    } trainer;

    struct {
        char *site; /* name of a profile in env/sites, or a path; NULL = none */
        char *account, *partition, *qos;
        int64_t nodes, tasks_per_node, cpus_per_task, gpus_per_node;
        char *time;     /* limit of a job, D-HH:MM:SS */
        char *launcher; /* mpirun | srun; NULL = the site's, or mpirun */
        int64_t max_requeues;
        char *extra; /* more #SBATCH words */
    } slurm;
} mdl_study_t;

/* 1 when candidates are trained in rounds (interval, cross), all of them by mordal-regress; 0 for
 * the rungs of the paper. Not collective. */
int mdl_study_in_rounds(const mdl_study_t *study);

enum { MDL_STUDY_MAX_RUNG = 64 };

/* The number of ratios b, b eta, b eta^2, ... up to R (to 1e-9 relative), and the ratio of rung
 * number rung, from 1. None in rounds; at most MDL_STUDY_MAX_RUNG in a study that was read. Not
 * collective. */
int mdl_study_n_rung(const mdl_study_t *study);
double mdl_study_rung_ratio(const mdl_study_t *study, int64_t rung);

/* search.confidence of a strategy of rounds unless the study says otherwise (docs/simulation.md).
 * Not collective. */
double mdl_study_confidence(const char *strategy);

/* Reads and checks the study on rank 0 and gives it to all ranks (each parses the same bytes).
 * Relative paths become absolute, against the study file's folder. Collective over comm.
 * Returns MDL_E_MISSING or MDL_E_INPUT with line, key and the nearest known key. */
int mdl_study_load(MPI_Comm comm, const char *path, mdl_study_t **study, mdl_error_t *err);

/* The same for one process without MPI (mordal-study). Not collective. */
int mdl_study_read(const char *path, mdl_study_t **study, mdl_error_t *err);

void mdl_study_free(mdl_study_t *study);

/* Paths of the study's files; new strings, freed by the caller, NULL when memory is out.
 *   archive/vision/VE.h5, archive/language/VE/LM.h5    activations
 *   cka/vision.h5, cka/language-VE.h5                  similarity
 *   clusters/vision.h5, clusters/language-VE.h5        clusters
 *   clusters/candidates.h5                             candidate clusters
 *   rungs/rung-N.h5, regress/regress.h5, regress/final.h5
 *   candidates/VE+LM/                                  checkpoints and history */
char *mdl_study_path(const mdl_study_t *study, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
