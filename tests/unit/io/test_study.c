/* Study files: defaults, every kind of mistake with its line and key, loading on several ranks. */
#include "io/study.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], study_path[128];

static void write_file(const char *name, const char *text, size_t n_byte)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n_byte, file), n_byte);
    fclose(file);
}

static int set_up(void **state)
{
    (void)state;
    char path[128];
    snprintf(folder, sizeof folder, "/tmp/mordal-study-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/lm", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    write_file("a.npy", "", 0);
    write_file("ids.txt", "", 0);
    write_file("lm/corpus.h5", "", 0);
    snprintf(study_path, sizeof study_path, "%s/STUDY.yaml", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    const char *names[] = {"lm/corpus.h5", "lm", "a.npy", "ids.txt", "STUDY.yaml", "."};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return rmdir(folder);
}

#define ZOO                                                                                        \
    "zoo:\n"                                                                                       \
    "  vision:\n"                                                                                  \
    "    - {name: a, activations: a.npy#x}\n"                                                      \
    "  language:\n"                                                                                \
    "    - {name: lm, checkpoint: lm, corpus: lm/corpus.h5}\n"                                     \
    "  sample_ids: ids.txt\n"

static int read_text(const char *text, mdl_study_t **study, mdl_error_t *err)
{
    write_file("STUDY.yaml", text, strlen(text));
    return mdl_study_read(study_path, study, err);
}

static void test_defaults(void **state)
{
    (void)state;
    mdl_study_t *study;
    mdl_error_t err = {0};
    assert_int_equal(read_text(ZOO, &study, &err), MDL_OK);
    assert_string_equal(study->name, strrchr(folder, '/') + 1);
    assert_string_equal(study->folder, folder);
    assert_int_equal(study->seed, 1);
    assert_int_equal(study->zoo.n_vision, 1);
    assert_int_equal(study->zoo.n_language, 1);
    assert_string_equal(study->similarity.estimator, "minibatch");
    assert_true(study->clusters.vision_threshold == 0.7);
    assert_string_equal(study->search.strategy, "cross");
    assert_true(study->search.max_ratio == 1 && study->search.start_ratio == 1.0 / 64);
    assert_true(study->search.confidence == 0.65);
    mdl_study_free(study);
    assert_int_equal(read_text(ZOO "search: {strategy: paper}\n", &study, &err), MDL_OK);
    assert_true(study->search.max_ratio == 0.125 && study->search.start_ratio == 0.03);
    assert_true(study->regress.tolerance == 5e-5);
    assert_int_equal(study->regress.train_choice, 1);
    assert_int_equal(study->trainer.kind, MDL_TRAINER_NATIVE);
    assert_int_equal(study->trainer.n_lora_target, 2);
    assert_string_equal(study->trainer.lora_targets[1], "v_proj");
    assert_string_equal(study->slurm.time, "01:00:00");
    assert_null(study->slurm.account);
    char path[256];
    snprintf(path, sizeof path, "%s/a.npy#x", folder);
    assert_string_equal(study->zoo.vision[0].activations, path);
    char *result = mdl_study_path(study, "rungs/rung-%d.h5", 3);
    snprintf(path, sizeof path, "%s/rungs/rung-3.h5", folder);
    assert_string_equal(result, path);
    free(result);
    mdl_study_free(study);
}

/* None in rounds; 0.1, 0.3, 0.9; and as many as there may be: 1.011063^63 is just below 2. */
static void test_rungs(void **state)
{
    (void)state;
    mdl_study_t *study;
    mdl_error_t err = {0};
    assert_int_equal(read_text(ZOO, &study, &err), MDL_OK);
    assert_int_equal(mdl_study_n_rung(study), 0);
    mdl_study_free(study);
    assert_int_equal(
        read_text(ZOO "search: {strategy: paper, start_ratio: 0.1, eta: 3, max_ratio: 0.9}\n",
                  &study, &err),
        MDL_OK);
    assert_int_equal(mdl_study_n_rung(study), 3);
    assert_true(fabs(mdl_study_rung_ratio(study, 1) - 0.1) < 1e-12);
    assert_true(fabs(mdl_study_rung_ratio(study, 3) - 0.9) < 1e-12);
    mdl_study_free(study);
    assert_int_equal(
        read_text(ZOO "search: {strategy: paper, start_ratio: 0.5, eta: 1.011063, max_ratio: 1}\n",
                  &study, &err),
        MDL_OK);
    assert_int_equal(mdl_study_n_rung(study), MDL_STUDY_MAX_RUNG);
    mdl_study_free(study);
}

static void test_settings(void **state)
{
    (void)state;
    mdl_study_t *study;
    mdl_error_t err = {0};
    assert_int_equal(read_text(ZOO "name: mine\nseed: 18446744073709551615\n"
                                   "trainer:\n  kind: command\n  lora: {rank: 0, targets: []}\n"
                                   "  command: {line: \"echo 'x'\"}\n"
                                   "regress: {train_choice: false}\n"
                                   "slurm: {time: 1-02:03:04, launcher: srun}\n",
                               &study, &err),
                     MDL_OK);
    assert_string_equal(study->name, "mine");
    assert_true(study->seed == UINT64_MAX);
    assert_int_equal(study->trainer.kind, MDL_TRAINER_COMMAND);
    assert_string_equal(study->trainer.command, "echo 'x'");
    assert_int_equal(study->trainer.lora_rank, 0);
    assert_int_equal(study->trainer.n_lora_target, 0);
    assert_int_equal(study->regress.train_choice, 0);
    assert_string_equal(study->slurm.time, "1-02:03:04");
    assert_string_equal(study->slurm.launcher, "srun");
    mdl_study_free(study);
}

typedef struct {
    const char *text; /* the study file */
    int code;
    const char *words[3]; /* all of them are in the message */
} mistake_t;

static const mistake_t mistakes[] = {
    {ZOO "seeed: 1\n", MDL_E_INPUT, {"STUDY.yaml:7:", "'seeed'", "did you mean seed?"}},
    {ZOO "trainer:\n  lora:\n    rnk: 4\n",
     MDL_E_INPUT,
     {"STUDY.yaml:9:", "'rnk'", "did you mean trainer.lora.rank?"}},
    {ZOO "warmup_rounds: 4\n", MDL_E_INPUT, {"did you mean clusters.warmup_rounds?"}},
    {ZOO "trainer.batch: 4\n", MDL_E_INPUT, {"unknown key 'trainer.batch'"}},
    {ZOO "seed: 1\nname: x\nseed: 2\n", MDL_E_INPUT, {":9:", "seed", "first in line 7"}},
    {ZOO "seed: -1\n", MDL_E_INPUT, {":7: seed", "'-1'"}},
    {ZOO "seed: 18446744073709551616\n", MDL_E_INPUT, {"seed"}},
    {ZOO "search: {eta: 1}\n", MDL_E_INPUT, {"search.eta", "(1,)"}},
    {ZOO "search: {strategy: paper, eta: 1.000001}\n",
     MDL_E_INPUT,
     {"search.eta (1.000001)", "more than 64 rungs"}},
    {ZOO "search: {eta: .nan}\n", MDL_E_INPUT, {"search.eta", "finite"}},
    {ZOO "search: {start_ratio: -1}\n", MDL_E_INPUT, {"search.start_ratio", "[0,1]"}},
    {ZOO "search: {strategy: paper, start_ratio: 0.5}\n",
     MDL_E_INPUT,
     {"larger than search.max_ratio"}},
    {ZOO "search: {keep: 0}\n", MDL_E_INPUT, {"search.keep", "[1,)"}},
    {ZOO "search: {keep: 2.5}\n", MDL_E_INPUT, {"search.keep", "not a whole number"}},
    {ZOO "search: {keep: [1]}\n", MDL_E_INPUT, {"search.keep", "not a list"}},
    {ZOO "search: [keep]\n", MDL_E_INPUT, {":7: search", "section"}},
    {ZOO "clusters: {vision_threshold: 1.5}\n", MDL_E_INPUT, {"vision_threshold", "[-1,1]"}},
    {ZOO "clusters: {linkage: ward}\n", MDL_E_INPUT, {"'ward'", "average|complete|single"}},
    {ZOO "similarity: {estimator: unbias}\n", MDL_E_INPUT, {"did you mean unbiased?"}},
    {ZOO "regress: {train_choice: maybe}\n", MDL_E_INPUT, {"neither true nor false"}},
    {ZOO "regress: {points: 5}\n", MDL_E_INPUT, {"regress.max_points", "larger"}},
    {ZOO "trainer: {kind: comand}\n", MDL_E_INPUT, {"did you mean command?"}},
    {ZOO "trainer: {kind: command}\n", MDL_E_INPUT, {"trainer.command.line"}},
    {ZOO "trainer: {kind: replay}\n", MDL_E_INPUT, {"trainer.replay.curves"}},
    {ZOO "trainer: {kind: replay, replay: {curves: c.csv}}\n",
     MDL_E_MISSING,
     {"trainer.replay.curves", "c.csv", "No such file"}},
    {ZOO "trainer: {lora: {targets: [q_proj, q_proj]}}\n", MDL_E_INPUT, {"is there twice"}},
    {ZOO "slurm: {time: soon}\n", MDL_E_INPUT, {"slurm.time", "HH:MM:SS"}},
    {ZOO "slurm: {account: \"a; rm -r x\"}\n", MDL_E_INPUT, {"slurm.account"}},
    {ZOO "slurm: {account: }\n", MDL_E_INPUT, {"slurm.account", "no value"}},
    {ZOO "slurm: {extra: \"a\\nb\"}\n", MDL_E_INPUT, {"slurm.extra", "one line"}},
    {ZOO "name: ../x\n", MDL_E_INPUT, {"name: '../x'"}},
    {ZOO "name: \"a\\0b\"\n", MDL_E_INPUT, {"zero byte"}},
    {ZOO "name: &x a\ntrainer: {command: {line: *x}}\n", MDL_E_INPUT, {"aliases"}},
    {ZOO "trainer: &x\n  lora: *x\n", MDL_E_INPUT, {""}},
    {"zoo: {}\n", MDL_E_INPUT, {"zoo.vision", "no vision encoder"}},
    {"seed: 1\n", MDL_E_INPUT, {"zoo.vision"}},
    {"zoo:\n  vision: [{name: a, activations: a.npy}]\n", MDL_E_INPUT, {"no language model"}},
    {"zoo:\n  vision: [{name: a}]\n  language: [{name: b, checkpoint: l, corpus: c}]\n",
     MDL_E_INPUT,
     {"a has no activations and no checkpoint"}},
    {"zoo:\n  vision: [{name: a, activations: a.npy, checkpoint: lm}]\n"
     "  language: [{name: b, checkpoint: l, corpus: c}]\n",
     MDL_E_INPUT,
     {"a has both activations and a checkpoint"}},
    {"zoo:\n  vision: [{name: a, checkpoint: lm}]\n"
     "  language: [{name: b, checkpoint: l, corpus: c}]\n",
     MDL_E_INPUT,
     {"zoo.images: is missing; a has a checkpoint"}},
    {"zoo:\n  vision: [{name: a, checkpoint: lm, pooling: max}]\n",
     MDL_E_INPUT,
     {":2:", "mean|cls|patches"}},
    {"zoo:\n  vision: [{activations: a.npy}]\n", MDL_E_INPUT, {":2:", "no name"}},
    {"zoo:\n  vision: [a, b]\n", MDL_E_INPUT, {":2:", "section"}},
    {"zoo:\n  vision: a\n", MDL_E_INPUT, {":2:", "list of models"}},
    {"zoo:\n  vision:\n    - {name: a, activations: x}\n    - {name: a, activations: y}\n",
     MDL_E_INPUT,
     {"the name a is there twice"}},
    {"zoo:\n  vision: [{name: a+b, activations: a.npy}]\n", MDL_E_INPUT, {"'a+b'", "letters"}},
    {"zoo:\n  vision: [{name: a, activations: b.npy}]\n"
     "  language: [{name: lm, checkpoint: lm, corpus: lm/corpus.h5}]\n  sample_ids: ids.txt\n",
     MDL_E_MISSING,
     {"activations of a", "b.npy", "correct the path"}},
    {"zoo:\n  vision: [{name: a, activations: a.npy}]\n"
     "  language: [{name: lm, checkpoint: lm, corpus: lm/corpus.h5}]\n",
     MDL_E_INPUT,
     {"zoo.sample_ids"}},
    {"zoo: [\n", MDL_E_INPUT, {"is not YAML"}},
    {"\xff\xfe\xff", MDL_E_INPUT, {"is not YAML"}},
    {ZOO "---\nseed: 1\n", MDL_E_INPUT, {":7: a second document"}},
    {"- a\n- b\n", MDL_E_INPUT, {":1: the study", "section"}},
    {"[[[[[[[[[[[[[[[[[[[[[[", MDL_E_INPUT, {"nested more than"}},
    {"? {a: b}\n: c\n", MDL_E_INPUT, {"a key"}},
    {"", MDL_E_INPUT, {"is empty"}},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        mdl_study_t *study;
        mdl_error_t err = {0};
        int rc = read_text(mistakes[i].text, &study, &err);
        if (rc != mistakes[i].code)
            fail_msg("code %d, not %d (%s), of:\n%s", rc, mistakes[i].code, err.text,
                     mistakes[i].text);
        assert_null(study);
        for (int j = 0; j < 3 && mistakes[i].words[j] != NULL; j++)
            if (strstr(err.text, mistakes[i].words[j]) == NULL)
                fail_msg("no '%s' in: %s", mistakes[i].words[j], err.text);
    }
}

static void test_huge(void **state)
{
    (void)state;
    mdl_study_t *study;
    mdl_error_t err = {0};
    size_t n_byte = (1 << 20) + 2;
    char *text = malloc(n_byte);
    assert_non_null(text);
    memset(text, '#', n_byte);
    write_file("STUDY.yaml", text, n_byte);
    assert_int_equal(mdl_study_read(study_path, &study, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "1 MiB"));
    memset(text, '[', n_byte - 4);
    write_file("STUDY.yaml", text, n_byte - 4);
    assert_int_equal(mdl_study_read(study_path, &study, &err), MDL_E_INPUT);
    free(text);
}

static void test_missing(void **state)
{
    (void)state;
    mdl_study_t *study;
    mdl_error_t err = {0};
    assert_int_equal(mdl_study_read("/nowhere/STUDY.yaml", &study, &err), MDL_E_MISSING);
    assert_non_null(strstr(err.text, "/nowhere"));
    char path[128];
    snprintf(path, sizeof path, "%s/OTHER.yaml", folder);
    assert_int_equal(mdl_study_read(path, &study, &err), MDL_E_MISSING);
    assert_non_null(strstr(err.text, "OTHER.yaml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rungs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_huge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
