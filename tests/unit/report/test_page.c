/* The whole page on made-up searches that have come more or less far. */
#include "core/text.h"
#include "report/made_up.h"
#include "report/report.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Checks that text is well-formed: elements nest and end, attributes are quoted, and no & stands
 * alone. The page is written so that it is XML too. */
static void check_well_formed(const char *text)
{
    char open[64][16];
    int depth = 0;
    const char *at = strchr(text, '>') + 1; /* behind the doctype */
    while ((at = strpbrk(at, "<&")) != NULL) {
        if (*at == '&') {
            size_t n = strcspn(at, ";");
            assert_true(n <= 6 && at[n] == ';');
            at += n;
            continue;
        }
        int closing = at[1] == '/';
        const char *name = at + 1 + closing, *end = name;
        size_t n = strcspn(name, " >/");
        assert_true(n > 0 && n < sizeof open[0] && isalpha((unsigned char)*name));
        for (; *end != '>'; end++) {
            if (*end == '"')
                end = strchr(end + 1, '"');
            assert_non_null(end);
            assert_true(*end != '<' && *end != '\0');
        }
        if (closing) {
            assert_true(depth > 0);
            depth--;
            assert_true(strlen(open[depth]) == n && strncmp(open[depth], name, n) == 0);
        } else if (end[-1] != '/') {
            assert_true(depth < 64);
            snprintf(open[depth++], sizeof open[0], "%.*s", (int)n, name);
        }
        at = end;
    }
    assert_int_equal(depth, 0);
}

static void add(mdl_report_input_t *input, const char *folder, const char *name)
{
    mdl_error_t err = {0};
    char *path = mdl_text("%s/%s", folder, name);
    if (access(path, F_OK) == 0 && mdl_report_input_add(input, path, &err) != MDL_OK)
        fail_msg("%s", err.text);
    free(path);
}

/* Makes the search in a folder of its own and reads what it left. */
static void read_search(mdl_report_input_t *input, const made_up_t *search)
{
    static int n_folder;
    static const char *const names[] = {
        "cka/vision.h5",   "clusters/vision.h5", "clusters/candidates.h5",
        "rungs/rung-2.h5", "rungs/rung-1.h5",    "rungs/rung-3.h5",
        "rungs/rung-4.h5", "regress/regress.h5", "regress/final.h5"};
    mdl_error_t err = {0};
    char folder[64];
    snprintf(folder, sizeof folder, "test_page_%d_%d", (int)getpid(), n_folder++);
    *input = (mdl_report_input_t){0};
    if (made_up_write(folder, search, &err) != MDL_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        add(input, folder, names[i]);
    for (int64_t c = 0; input->vision.has_clusters && c < input->vision.clusters.n_cluster; c++) {
        const mdl_clusters_t *clusters = &input->vision.clusters;
        char name[160];
        snprintf(name, sizeof name, "cka/language-%s.h5", clusters->models[clusters->medoid[c]]);
        add(input, folder, name);
        snprintf(name, sizeof name, "clusters/language-%s.h5",
                 clusters->models[clusters->medoid[c]]);
        add(input, folder, name);
    }
    assert_int_equal(mdl_report_input_finish(input, &err), MDL_OK);
    char *remove = mdl_text("rm -r %s", folder);
    assert_int_equal(system(remove), 0);
    free(remove);
}

static void make_page(mdl_buffer_t *page, const made_up_t *search)
{
    mdl_error_t err;
    mdl_report_input_t input;
    read_search(&input, search);
    assert_int_equal(mdl_report_page(page, &input, &err), MDL_OK);
    assert_false(page->failed);
    mdl_report_input_free(&input);
    check_well_formed(page->bytes);
    assert_null(strstr(page->bytes, "nan\""));
    assert_null(strstr(page->bytes, ">nan"));
    assert_null(strstr(page->bytes, "inf\""));
    assert_null(strstr(page->bytes, ">inf"));
}

static void measurement_outside_of_the_interval(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_report_input_t input;
    mdl_buffer_t page = {0}, again = {0};
    read_search(&input, &(made_up_t){5, 3, 0.7, 0.8, MADE_UP_FINAL, NULL});
    assert_int_equal(mdl_report_page(&page, &input, &err), MDL_OK);
    assert_null(strstr(page.bytes, "outside that interval"));
    input.final.error = input.regress.high[0] + 0.01;
    assert_int_equal(mdl_report_page(&again, &input, &err), MDL_OK);
    assert_non_null(strstr(again.bytes, "outside that interval"));
    mdl_report_input_free(&input);
    mdl_buffer_free(&page);
    mdl_buffer_free(&again);
}

static void choice_measured_by_the_search(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_report_input_t input;
    mdl_buffer_t page = {0};
    read_search(&input, &(made_up_t){10, 6, 0.7, 0.8, MADE_UP_FINAL, NULL});
    mdl_regress_t *from = &input.regress;
    char measured[] = "measured", *before[2] = {from->status[0], from->status[1]};
    from->status[0] = from->status[1] = measured;
    input.final.error = from->predicted[0] = 0.25;
    input.final.error_stderr = 0.02;
    from->predicted[1] = 0.2651;
    for (int64_t i = 2; i < from->n_candidate; i++)
        from->low[i] = i == 2 ? 0.249 : 0.251;
    assert_int_equal(mdl_report_page(&page, &input, &err), MDL_OK);
    assert_null(strstr(page.bytes, "predicted error of"));
    assert_non_null(strstr(page.bytes, "it measured an error of 0.250 (standard error 0.020)"));
    assert_non_null(strstr(page.bytes, "Also within its standard error: "));
    assert_non_null(strstr(page.bytes, "(0.2651); a search with another"));
    assert_non_null(strstr(page.bytes, " 1 that was not trained that far"));
    assert_non_null(strstr(page.bytes, "</th><td>measured</td>"));
    assert_non_null(strstr(page.bytes, "<td class=\"missing\">dropped in rung"));
    from->status[0] = before[0];
    from->status[1] = before[1];
    mdl_report_input_free(&input);
    mdl_buffer_free(&page);
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

static void whole_search(void **state)
{
    (void)state;
    mdl_buffer_t page = {0};
    make_page(&page, &(made_up_t){10, 6, 0.7, 0.8, MADE_UP_FINAL, NULL});
    assert_null(strstr(page.bytes, "there yet"));
    assert_non_null(strstr(page.bytes, "The best pair is <strong>"));
    assert_non_null(strstr(page.bytes, "it measured"));
    assert_non_null(strstr(page.bytes, "name=\"viewport\""));
    assert_non_null(strstr(page.bytes, "prefers-color-scheme:dark"));
    assert_non_null(strstr(page.bytes, "@media print"));
    assert_non_null(strstr(page.bytes, "The other 45 pairs"));
    assert_non_null(strstr(page.bytes, "loss is NaN at step 12"));
    assert_int_equal(count(page.bytes, "<svg viewBox"), count(page.bytes, "<desc>"));
    assert_null(strstr(page.bytes, "<script"));
    assert_int_equal(count(page.bytes, "http"), count(page.bytes, "http://www.w3.org/2000/svg"));
    mdl_buffer_free(&page);
}

static void each_stage_alone(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "<code>mordal-cka</code>",  "<code>mordal-cka</code>",     "<code>mordal-rung</code>",
        "<code>mordal-rung</code>", "<code>mordal-regress</code>", NULL};
    for (int stage = MADE_UP_VISION_CKA; stage < MADE_UP_FINAL; stage++) {
        mdl_buffer_t page = {0};
        make_page(&page, &(made_up_t){5, 3, 0.7, 0.8, (made_up_stage_t)stage, NULL});
        if (commands[stage] != NULL)
            assert_non_null(strstr(page.bytes, commands[stage]));
        if (stage < MADE_UP_REGRESS)
            assert_non_null(strstr(page.bytes, "no pair is chosen yet"));
        mdl_buffer_free(&page);
    }
}

static void one_model_of_each_kind(void **state)
{
    (void)state;
    mdl_buffer_t page = {0};
    make_page(&page, &(made_up_t){1, 1, 0.7, 0.8, MADE_UP_FINAL, NULL});
    assert_non_null(strstr(page.bytes, "1 model in 1 cluster"));
    mdl_buffer_free(&page);
}

static void hostile_names(void **state)
{
    (void)state;
    mdl_buffer_t page = {0};
    make_page(&page, &(made_up_t){4, 3, 0.7, 0.8, MADE_UP_FINAL,
                                  "\"><script>x&y'\xFF"
                                  "&amp;%s%n"});
    assert_null(strstr(page.bytes, "<script"));
    assert_non_null(strstr(page.bytes, "&quot;&gt;&lt;script&gt;x&amp;y&#39;"));
    mdl_buffer_free(&page);
}

static void many_models(void **state)
{
    (void)state;
    mdl_buffer_t page = {0};
    make_page(&page, &(made_up_t){100, 3, 0.7, 0.8, MADE_UP_FINAL, NULL});
    assert_non_null(strstr(page.bytes, "100 models"));
    assert_true(page.n_byte < 8 << 20);
    mdl_buffer_free(&page);
}

static void files_that_do_not_fit(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_report_input_t input;
    read_search(&input, &(made_up_t){5, 3, 0.7, 0.8, MADE_UP_RUNGS, NULL});
    input.vision.clusters.n_model--;
    assert_int_equal(mdl_report_input_finish(&input, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "vision"));
    input.vision.clusters.n_model++;
    input.rungs[1].rung = 1;
    assert_int_equal(mdl_report_input_finish(&input, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "rung 1"));
    mdl_report_input_free(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_search),
        cmocka_unit_test(each_stage_alone),
        cmocka_unit_test(hostile_names),
        cmocka_unit_test(one_model_of_each_kind),
        cmocka_unit_test(many_models),
        cmocka_unit_test(files_that_do_not_fit),
        cmocka_unit_test(choice_measured_by_the_search),
        cmocka_unit_test(measurement_outside_of_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
