#include "io/study_keys.h"

#include <stddef.h>

#define AT(field)        .offset = offsetof(mdl_study_t, field)
#define VISION_AT(field) .offset = offsetof(mdl_study_vision_t, field)
#define LM_AT(field)     .offset = offsetof(mdl_study_language_t, field)

const mdl_study_key_t mdl_study_keys[] = {
    {"name", MDL_KEY_NAME, AT(name),
     .help = "names the study in job names and in the report; default: the folder's name"},
    {"seed", MDL_KEY_SEED, AT(seed), .initial = "1",
     .help = "start of every random stream; the same seed gives the same result"},

    {"zoo.vision", MDL_KEY_MODELS, AT(zoo.vision),
     .count_offset = offsetof(mdl_study_t, zoo.n_vision), .item_size = sizeof(mdl_study_vision_t),
     .required = 1, .help = "the vision encoders, a list"},
    {"zoo.vision[].name", MDL_KEY_NAME, VISION_AT(name), .required = 1,
     .help = "name of the encoder: letters, digits, `.`, `_`, `-`"},
    {"zoo.vision[].activations", MDL_KEY_PATH, VISION_AT(activations), .unit = "path",
     .help = "its features, one row an image: .npy, .safetensors#TENSOR or .h5#DATASET; this or a "
             "checkpoint"},
    {"zoo.vision[].checkpoint", MDL_KEY_PATH, VISION_AT(checkpoint), .unit = "path",
     .help = "folder with config.json and model.safetensors; the encoder is run on zoo.images"},
    {"zoo.vision[].layer", MDL_KEY_INT, VISION_AT(layer), .values = "[-1000,1000]",
     .help = "with a checkpoint: block whose output is taken, from 1, or from -1 backwards; "
             "default: the last but one, of ConvNeXt the last"},
    {"zoo.vision[].pooling", MDL_KEY_CHOICE, VISION_AT(pooling), .values = "mean|cls|patches",
     .help = "with a checkpoint: mean over the patches (the default), class token, or every patch"},
    {"zoo.language", MDL_KEY_MODELS, AT(zoo.language),
     .count_offset = offsetof(mdl_study_t, zoo.n_language),
     .item_size = sizeof(mdl_study_language_t), .required = 1,
     .help = "the language models, a list"},
    {"zoo.language[].name", MDL_KEY_NAME, LM_AT(name), .required = 1,
     .help = "name of the language model: letters, digits, `.`, `_`, `-`"},
    {"zoo.language[].checkpoint", MDL_KEY_PATH, LM_AT(checkpoint), .required = 1, .unit = "path",
     .help = "folder with config.json and model.safetensors"},
    {"zoo.language[].corpus", MDL_KEY_PATH, LM_AT(corpus), .required = 1, .unit = "path",
     .help = "alignment and target samples, tokenised for this model (HDF5)"},
    {"zoo.sample_ids", MDL_KEY_PATH, AT(zoo.sample_ids), .unit = "path",
     .help = "text file with one id a line, in the row order of the activations, where there are "
             "any"},
    {"zoo.images", MDL_KEY_PATH, AT(zoo.images), .unit = "path",
     .help = "images for encoders with a checkpoint: folder of PNG and JPEG files, or HDF5 file"},

    {"similarity.estimator", MDL_KEY_CHOICE, AT(similarity.estimator), .initial = "minibatch",
     .values = "biased|unbiased|minibatch", .help = "how CKA is estimated"},
    {"similarity.kernel", MDL_KEY_CHOICE, AT(similarity.kernel), .initial = "linear",
     .values = "linear|rbf", .help = "kernel of CKA"},
    {"similarity.batch", MDL_KEY_INT, AT(similarity.batch), .initial = "64", .values = "[4,)",
     .unit = "rows", .help = "size of a batch of the minibatch estimator"},
    {"similarity.stop", MDL_KEY_CHOICE, AT(similarity.stop), .initial = "none",
     .values = "none|clusters",
     .help =
         "stop reading, and extracting hidden states, once the clusters are settled (minibatch)"},
    {"similarity.alpha", MDL_KEY_NUMBER, AT(similarity.alpha), .initial = "0.05",
     .values = "(0,0.5]", .unit = "probability", .help = "of stopping with other clusters"},
    {"similarity.gram_cache", MDL_KEY_BOOL, AT(similarity.gram_cache), .initial = "false",
     .values = "true|false",
     .help = "keep Gram matrices in cka/grams: a joining model costs one pass (minibatch)"},
    {"similarity.backend", MDL_KEY_CHOICE, AT(similarity.backend), .initial = "cpu",
     .values = "auto|cpu|cuda",
     .help = "where CKA is computed: cpu, GPUs, or GPUs where every rank has one (auto)"},

    {"clusters.linkage", MDL_KEY_CHOICE, AT(clusters.linkage), .initial = "average",
     .values = "average|complete|single", .help = "how the distance of two clusters is taken"},
    {"clusters.vision_threshold", MDL_KEY_NUMBER, AT(clusters.vision_threshold), .initial = "0.7",
     .values = "[-1,1]", .unit = "similarity",
     .help = "encoders at least so similar share a cluster (cut at distance 1 - threshold)"},
    {"clusters.language_threshold", MDL_KEY_NUMBER, AT(clusters.language_threshold),
     .initial = "0.8", .values = "[-1,1]", .unit = "similarity",
     .help = "the same for language models"},
    {"clusters.warmup_rounds", MDL_KEY_INT, AT(clusters.warmup_rounds), .initial = "10",
     .values = "[0,1000000]", .unit = "optimiser steps",
     .help = "warm-up of the projector before hidden states are extracted"},
    {"clusters.samples", MDL_KEY_INT, AT(clusters.samples), .initial = "256", .values = "[4,)",
     .unit = "samples", .help = "target samples whose last hidden state is extracted"},
    {"clusters.pooling", MDL_KEY_CHOICE, AT(clusters.pooling), .initial = "mean",
     .values = "mean|last", .help = "mean over the scored tokens, or the last token"},

    {"search.strategy", MDL_KEY_CHOICE, AT(search.strategy), .initial = "cross",
     .values = "paper|interval|cross",
     .help = "rungs of clusters and a regression, or rounds that cut by intervals, over all pairs "
             "or over one column and one row of them"},
    {"search.start_ratio", MDL_KEY_NUMBER, AT(search.start_ratio), .initial = "0",
     .values = "[0,1]", .unit = "share of the alignment data",
     .help = "b: how far the first rung or round trains; 0: 0.03 for paper, else 1/64"},
    {"search.eta", MDL_KEY_NUMBER, AT(search.eta), .initial = "2", .values = "(1,)",
     .help = "a rung keeps 1/eta of its candidates, the next trains eta times as far"},
    {"search.max_ratio", MDL_KEY_NUMBER, AT(search.max_ratio), .initial = "0", .values = "[0,1]",
     .unit = "share of the alignment data",
     .help = "R: no rung or round trains further, the regression of paper starts here; 0: 0.125 "
             "for paper, else 1"},
    {"search.keep", MDL_KEY_INT, AT(search.keep), .initial = "3", .values = "[1,)",
     .unit = "clusters", .help = "K: halving ends when so many are left"},
    {"search.confidence", MDL_KEY_NUMBER, AT(search.confidence), .initial = "0", .values = "[0,1)",
     .unit = "probability",
     .help = "of the intervals that rounds cut by; 0: 0.82 for interval, 0.65 for cross"},
    {"search.floor", MDL_KEY_NUMBER, AT(search.floor), .initial = "0.125", .values = "[0,1]",
     .unit = "share of the alignment data",
     .help = "rounds don't cut a pair before this while its error hasn't moved"},

    {"regress.method", MDL_KEY_CHOICE, AT(regress.method), .initial = "pooled",
     .values = "pooled|calibrated-slope|last-value|log-linear|power-law",
     .help = "how the error at ratio 1 is predicted; log-linear is the paper's"},
    {"regress.divisor", MDL_KEY_NUMBER, AT(regress.divisor), .initial = "2", .values = "(1,)",
     .help = "u: the next smaller ratio is the ratio divided by this"},
    {"regress.points", MDL_KEY_INT, AT(regress.points), .initial = "3", .values = "[2,62]",
     .unit = "points", .help = "p: a line is fitted once there are more points than this"},
    {"regress.tolerance", MDL_KEY_NUMBER, AT(regress.tolerance), .initial = "5e-5",
     .values = "[0,)", .unit = "squared log error",
     .help = "delta: the fit is good when its mean squared residual is below"},
    {"regress.max_points", MDL_KEY_INT, AT(regress.max_points), .initial = "5", .values = "[3,63]",
     .unit = "points", .help = "never more points than this for a candidate"},
    {"regress.confidence", MDL_KEY_NUMBER, AT(regress.confidence), .initial = "0.9",
     .values = "(0,1)", .unit = "probability", .help = "of the intervals of predicted errors"},
    {"regress.train_choice", MDL_KEY_BOOL, AT(regress.train_choice), .initial = "true",
     .values = "true|false", .help = "train the choice to ratio 1 and measure it"},

    {"trainer.kind", MDL_KEY_TRAINER, AT(trainer.kind), .initial = "native",
     .values = "native|command|replay",
     .help = "own engine, the user's script, or a table of measured curves"},
    {"trainer.ranks_per_candidate", MDL_KEY_INT, AT(trainer.ranks_per_candidate), .initial = "0",
     .values = "[0,)", .unit = "ranks",
     .help = "ranks that train one candidate together; 0: shared out evenly"},
    {"trainer.checkpoint_seconds", MDL_KEY_NUMBER, AT(trainer.checkpoint_seconds), .initial = "300",
     .values = "(0,)", .unit = "s", .help = "time between two checkpoints of a candidate"},
    {"trainer.backend", MDL_KEY_CHOICE, AT(trainer.backend), .initial = "cpu",
     .values = "auto|cpu|cuda|strict",
     .help =
         "where models compute, in training and for hidden states and vision features: auto takes "
         "GPUs where every rank finds one; strict is for tests"},
    {"trainer.precision", MDL_KEY_CHOICE, AT(trainer.precision), .initial = "float32",
     .values = "float32|bfloat16",
     .help = "what frozen matrices are kept in and the factors of their products rounded to; all "
             "else is float32"},
    {"trainer.activation_checkpointing", MDL_KEY_BOOL, AT(trainer.activation_checkpointing),
     .initial = "false", .values = "true|false",
     .help = "keep each block's input alone and compute the block again in the backward pass: less "
             "memory, more time, the same results"},
    {"trainer.shard", MDL_KEY_BOOL, AT(trainer.shard), .initial = "false", .values = "true|false",
     .help = "share the weights of a candidate's blocks out over the ranks that train it and fetch "
             "each block when it is used: less memory, more time, the same results"},
    {"trainer.epochs", MDL_KEY_INT, AT(trainer.epochs), .initial = "1", .values = "[1,1000000]",
     .unit = "passes", .help = "passes over the alignment data at ratio 1"},
    {"trainer.batch", MDL_KEY_INT, AT(trainer.batch), .initial = "4", .values = "[1,1000000]",
     .unit = "samples", .help = "samples of one optimiser step"},
    {"trainer.pack_length", MDL_KEY_INT, AT(trainer.pack_length), .initial = "0",
     .values = "[0,16777216]", .unit = "positions",
     .help = "short samples pass the model together, up to so many positions, without "
             "seeing each other; 0: one at a time"},
    {"trainer.learning_rate", MDL_KEY_NUMBER, AT(trainer.learning_rate), .initial = "1e-4",
     .values = "(0,1]", .help = "Adam's largest step size; falls to 0 at ratio 1"},
    {"trainer.schedule", MDL_KEY_CHOICE, AT(trainer.schedule), .initial = "linear",
     .values = "linear|cosine", .help = "how the learning rate falls"},
    {"trainer.warmup_ratio", MDL_KEY_NUMBER, AT(trainer.warmup_ratio), .initial = "0",
     .values = "[0,1)", .unit = "share of the alignment data",
     .help = "over which the learning rate rises linearly from 0"},
    {"trainer.beta1", MDL_KEY_NUMBER, AT(trainer.beta1), .initial = "0.9", .values = "[0,1)",
     .help = "Adam's decay of the first moment"},
    {"trainer.beta2", MDL_KEY_NUMBER, AT(trainer.beta2), .initial = "0.999", .values = "[0,1)",
     .help = "Adam's decay of the second moment"},
    {"trainer.epsilon", MDL_KEY_NUMBER, AT(trainer.epsilon), .initial = "1e-8", .values = "(0,1]",
     .help = "Adam's guard against division by zero"},
    {"trainer.weight_decay", MDL_KEY_NUMBER, AT(trainer.weight_decay), .initial = "0",
     .values = "[0,1]", .help = "decoupled weight decay of all trained parameters (AdamW)"},
    {"trainer.clip_norm", MDL_KEY_NUMBER, AT(trainer.clip_norm), .initial = "0", .values = "[0,)",
     .help = "a batch's gradient is shortened to this length; 0: never"},
    {"trainer.max_answer_tokens", MDL_KEY_INT, AT(trainer.max_answer_tokens), .initial = "16",
     .values = "[1,1000000]", .unit = "tokens", .help = "greedy decoding of an answer stops here"},
    {"trainer.lora.rank", MDL_KEY_INT, AT(trainer.lora_rank), .initial = "8", .values = "[0,65536]",
     .help = "rank of the adapters; 0: the projector alone is trained"},
    {"trainer.lora.alpha", MDL_KEY_NUMBER, AT(trainer.lora_alpha), .initial = "16",
     .values = "(0,)", .help = "adapters are scaled by alpha / rank"},
    {"trainer.lora.targets", MDL_KEY_TEXTS, AT(trainer.lora_targets),
     .count_offset = offsetof(mdl_study_t, trainer.n_lora_target), .initial = "[q_proj, v_proj]",
     .help = "projections of the language model that get an adapter"},
    {"trainer.command.line", MDL_KEY_TEXT, AT(trainer.command),
     .help = "command trainer: shell command line, run in the study's folder"},
    {"trainer.command.time_limit", MDL_KEY_NUMBER, AT(trainer.command_time_limit),
     .initial = "3600", .values = "(0,)", .unit = "s", .help = "one call is ended after this time"},
    {"trainer.command.tries", MDL_KEY_INT, AT(trainer.command_tries), .initial = "2",
     .values = "[1,1000]", .unit = "calls",
     .help = "a candidate has failed after so many failed calls"},
    {"trainer.replay.curves", MDL_KEY_PATH, AT(trainer.curves), .unit = "path",
     .help = "replay trainer: CSV with ve,llm,ratio,err[,err_stderr,loss,seconds]"},

    {"slurm.site", MDL_KEY_WORD, AT(slurm.site),
     .help = "site profile: a name in share/mordal/sites (env/sites) or a path"},
    {"slurm.account", MDL_KEY_WORD, AT(slurm.account), .help = "who pays"},
    {"slurm.partition", MDL_KEY_WORD, AT(slurm.partition), .help = "partition of the jobs"},
    {"slurm.qos", MDL_KEY_WORD, AT(slurm.qos), .help = "quality of service"},
    {"slurm.nodes", MDL_KEY_INT, AT(slurm.nodes), .initial = "1", .values = "[1,1000000]",
     .unit = "nodes", .help = "nodes of a job"},
    {"slurm.tasks_per_node", MDL_KEY_INT, AT(slurm.tasks_per_node), .initial = "1",
     .values = "[1,1000000]", .unit = "ranks", .help = "ranks on a node"},
    {"slurm.cpus_per_task", MDL_KEY_INT, AT(slurm.cpus_per_task), .initial = "1",
     .values = "[1,1000000]", .unit = "cores", .help = "cores of a rank"},
    {"slurm.gpus_per_node", MDL_KEY_INT, AT(slurm.gpus_per_node), .initial = "0",
     .values = "[0,1000000]", .unit = "GPUs", .help = "GPUs on a node"},
    {"slurm.time", MDL_KEY_TIME, AT(slurm.time), .initial = "01:00:00", .unit = "[D-]HH:MM:SS",
     .help = "time limit of a job; a stage that reaches it goes on in a next one"},
    {"slurm.launcher", MDL_KEY_CHOICE, AT(slurm.launcher), .values = "mpirun|srun",
     .help = "what starts the ranks; srun means srun --mpi=pmix; default: the site's, or mpirun"},
    {"slurm.max_requeues", MDL_KEY_INT, AT(slurm.max_requeues), .initial = "5",
     .values = "[0,1000]", .unit = "jobs", .help = "how often a stage may go on in a next job"},
    {"slurm.extra", MDL_KEY_TEXT, AT(slurm.extra),
     .help = "more options of sbatch, separated by blanks"},
};

const int mdl_n_study_key = sizeof mdl_study_keys / sizeof *mdl_study_keys;

static const char *or_none(const char *text)
{
    return text != NULL ? text : "";
}

/* A bar would end the table's cell. */
static void print_values(FILE *out, const char *values)
{
    for (const char *c = or_none(values); *c != '\0'; c++)
        if (*c == '|')
            fputs(", ", out);
        else
            fputc(*c, out);
}

void mdl_study_keys_print(FILE *out)
{
    fprintf(out, "| key | default | values | unit | meaning |\n|---|---|---|---|---|\n");
    for (int i = 0; i < mdl_n_study_key; i++) {
        const mdl_study_key_t *key = &mdl_study_keys[i];
        fprintf(out, "| `%s` | %s | ", key->path,
                key->required ? "required" : or_none(key->initial));
        print_values(out, key->values);
        fprintf(out, " | %s | %s |\n", or_none(key->unit), key->help);
    }
}
