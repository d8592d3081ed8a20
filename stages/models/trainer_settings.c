#include "models/trainer_settings.h"

#include "core/text.h"
#include "io/digest.h"

#include <stdio.h>
#include <stdlib.h>

static char *join_targets(const mdl_study_t *study)
{
    char *text = mdl_text("%s", "");
    for (unsigned i = 0; text != NULL && i < study->trainer.n_lora_target; i++) {
        char *longer = mdl_text("%s%s%s", text, i > 0 ? "," : "", study->trainer.lora_targets[i]);
        free(text);
        text = longer;
    }
    return text;
}

static char *native_settings(const mdl_study_t *study)
{
    char *targets = join_targets(study), pack_length[64] = "";
    if (targets == NULL)
        return NULL;
    if (study->trainer.pack_length > 0) /* else as it was before there were packs */
        snprintf(pack_length, sizeof pack_length, "trainer.pack_length=%lld\n",
                 (long long)study->trainer.pack_length);
    char *text = mdl_text(
        "trainer.kind=native\nseed=%llu\ntrainer.epochs=%lld\ntrainer.batch=%lld\n"
        "%s"
        "trainer.learning_rate=%.15g\ntrainer.schedule=%s\ntrainer.warmup_ratio=%.15g\n"
        "trainer.beta1=%.15g\ntrainer.beta2=%.15g\ntrainer.epsilon=%.15g\n"
        "trainer.weight_decay=%.15g\ntrainer.clip_norm=%.15g\ntrainer.precision=%s\n"
        "trainer.lora.rank=%lld\ntrainer.lora.alpha=%.15g\n"
        "trainer.lora.targets=%s\ntrainer.max_answer_tokens=%lld\n",
        (unsigned long long)study->seed, (long long)study->trainer.epochs,
        (long long)study->trainer.batch, pack_length, study->trainer.learning_rate,
        study->trainer.schedule, study->trainer.warmup_ratio, study->trainer.beta1,
        study->trainer.beta2, study->trainer.epsilon, study->trainer.weight_decay,
        study->trainer.clip_norm, study->trainer.precision, (long long)study->trainer.lora_rank,
        study->trainer.lora_alpha, targets, (long long)study->trainer.max_answer_tokens);
    free(targets);
    return text;
}

int mdl_trainer_settings(const mdl_study_t *study, char **settings, mdl_error_t *err)
{
    char digits[MDL_DIGEST_SIZE];
    *settings = NULL;
    if (study->trainer.kind == MDL_TRAINER_NATIVE)
        *settings = native_settings(study);
    else if (study->trainer.kind == MDL_TRAINER_COMMAND)
        *settings = mdl_text("trainer.kind=command\nseed=%llu\ntrainer.command.line=%s\n",
                             (unsigned long long)study->seed, study->trainer.command);
    else {
        int rc = mdl_digest_of_file(study->trainer.curves, digits, err);
        if (rc != MDL_OK)
            return rc;
        *settings = mdl_text("trainer.kind=replay\ntrainer.replay.curves.digest=%s\n", digits);
    }
    if (*settings == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the trainer's settings");
    return MDL_OK;
}
