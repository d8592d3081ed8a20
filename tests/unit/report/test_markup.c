/* The parts that turn data into markup: escaping, ticks, colours, CSV. */
#include "report/html.h"
#include "report/palette.h"
#include "report/ranking.h"
#include "report/svg.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void expect(mdl_buffer_t *page, const char *text)
{
    assert_string_equal(page->bytes, text);
    mdl_buffer_free(page);
}

static void hostile_text_is_escaped(void **state)
{
    (void)state;
    mdl_buffer_t page = {0};
    mdl_html_text(&page, "%s", "</title><script>alert(\"1\" & '2')</script>");
    expect(&page, "&lt;/title&gt;&lt;script&gt;alert(&quot;1&quot; &amp; "
                  "&#39;2&#39;)&lt;/script&gt;");
    mdl_html_text(&page, "%s", "100%% %s %n");
    expect(&page, "100%% %s %n");
}

/* Each broken byte becomes U+FFFD: continuation alone, overlong, surrogate, beyond U+10FFFF, cut.
 */
static void broken_utf8_is_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"\xC3\xA9t\xC3\xA9", "\xC3\xA9t\xC3\xA9"},
        {"\xF0\x9F\x94\xA5", "\xF0\x9F\x94\xA5"},
        {"a\x80z", "a\xEF\xBF\xBDz"},
        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xE0\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"ab\xE2\x80", "ab\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\x01\x1B[31m\x7F", "\xEF\xBF\xBD\xEF\xBF\xBD[31m\xEF\xBF\xBD"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mdl_buffer_t page = {0};
        mdl_html_text(&page, "%s", cases[i].text);
        expect(&page, cases[i].shown);
    }
}

static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    mdl_buffer_t page = {0};
    mdl_html_short_text(&page, "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", 3);
    expect(&page, "\xC3\xA9\xC3\xA9\xE2\x80\xA6");
    mdl_html_short_text(&page, "abc", 3);
    expect(&page, "abc");
    assert_int_equal(mdl_html_n_character("\xC3\xA9\xF0\x9F\x94\xA5x"), 3);
}

static void expect_ticks(mdl_scale_t scale, int n_wanted, int n, const double *expected)
{
    double ticks[MDL_SVG_MAX_TICK];
    assert_int_equal(mdl_scale_ticks(&scale, n_wanted, ticks), n);
    for (int i = 0; i < n; i++)
        assert_true(fabs(ticks[i] - expected[i]) < 1e-12);
}

static void ticks_are_round(void **state)
{
    (void)state;
    expect_ticks((mdl_scale_t){0, 1, 0, 1, 0}, 5, 6, (double[]){0, 0.2, 0.4, 0.6, 0.8, 1});
    expect_ticks((mdl_scale_t){17, 52, 0, 1, 0}, 4, 4, (double[]){20, 30, 40, 50});
    expect_ticks((mdl_scale_t){0.01, 1, 0, 1, 1}, 6, 7,
                 (double[]){0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1});
    expect_ticks((mdl_scale_t){1e-4, 1, 0, 1, 1}, 5, 5, (double[]){1e-4, 1e-3, 1e-2, 0.1, 1});
    expect_ticks((mdl_scale_t){0.22, 0.38, 0, 1, 1}, 4, 3, (double[]){0.25, 0.3, 0.35});
    expect_ticks((mdl_scale_t){3, 3, 0, 1, 0}, 4, 0, NULL);
}

static void scales_map(void **state)
{
    (void)state;
    mdl_scale_t linear = {10, 20, 100, 0, 0}, logarithmic = {0.01, 1, 0, 100, 1};
    assert_true(fabs(mdl_scale_at(&linear, 12.5) - 75) < 1e-9);
    assert_true(fabs(mdl_scale_at(&logarithmic, 0.1) - 50) < 1e-9);
    mdl_scale_t flat = {3, 3, 0, 10, 0};
    assert_true(mdl_scale_at(&flat, 3) == 5);
}

static double luminance(const char *colour)
{
    unsigned rgb[3];
    double sum = 0;
    const double weights[3] = {0.2126, 0.7152, 0.0722};
    assert_int_equal(sscanf(colour, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2]), 3);
    for (int c = 0; c < 3; c++) {
        double s = rgb[c] / 255.0;
        sum += weights[c] * (s <= 0.03928 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4));
    }
    return sum;
}

/* WCAG 2.1, 1.4.3: text needs a contrast of 4.5; and the palette only gets brighter. */
static void palette_is_readable(void **state)
{
    (void)state;
    double before = -1;
    for (int i = 0; i <= 200; i++) {
        char colour[MDL_COLOUR_SIZE];
        mdl_palette_colour(i / 200.0, colour);
        double paper = luminance(colour), ink = mdl_palette_ink(i / 200.0)[1] == 'f' ? 1 : 0;
        double contrast = ink > paper ? 1.05 / (paper + 0.05) : (paper + 0.05) / 0.05;
        assert_true(contrast >= 4.5);
        assert_true(paper >= before - 0.005);
        before = paper;
    }
    char low[MDL_COLOUR_SIZE], high[MDL_COLOUR_SIZE];
    mdl_palette_colour(-3, low);
    mdl_palette_colour(NAN, high);
    assert_string_equal(low, "#440154");
    assert_string_equal(high, "#440154");
    mdl_palette_colour(7, high);
    assert_string_equal(high, "#fde725");
}

static void csv_quotes_and_leaves_empty(void **state)
{
    (void)state;
    char *candidate[] = {"a,b+x", "\"c\"+y"}, *ve[] = {"a,b", "\"c\""}, *lm[] = {"x", "y"};
    char *status[] = {"predicted", "failed"};
    int32_t cluster[] = {4, 0};
    double predicted[] = {0.25, NAN}, low[] = {0.2, NAN}, high[] = {0.3125, INFINITY};
    double ratio[] = {0.125, 0.03}, seconds[] = {1234.5, NAN};
    mdl_regress_t regress = {.n_candidate = 2,
                             .candidate = candidate,
                             .ve = ve,
                             .lm = lm,
                             .status = status,
                             .cluster = cluster,
                             .predicted = predicted,
                             .low = low,
                             .high = high,
                             .ratio_trained = ratio,
                             .train_seconds = seconds};
    mdl_buffer_t csv = {0};
    mdl_ranking_csv(&csv, &regress);
    expect(&csv, "rank,ve,llm,cluster,status,error,error_low,error_high,ratio_trained,"
                 "train_seconds\n"
                 "1,\"a,b\",x,4,predicted,0.25,0.2,0.3125,0.125,1234.5\n"
                 "2,\"\"\"c\"\"\",y,0,failed,,,,0.03,\n");
    /* 1.959963985 standard errors of a normal lie on either side of its 95 % interval */
    const mdl_point_t point = {.ratio = 1, .error = 0.5, .error_stderr = 0.01, .train_seconds = 9};
    regress.confidence = 0.95;
    mdl_ranking_set_measured(&regress, "a,b+x", &point);
    mdl_ranking_csv(&csv, &regress);
    expect(&csv, "rank,ve,llm,cluster,status,error,error_low,error_high,ratio_trained,"
                 "train_seconds\n"
                 "1,\"a,b\",x,4,measured,0.5,0.48040036,0.51959964,1,9\n"
                 "2,\"\"\"c\"\"\",y,0,failed,,,,0.03,\n");
}

static void files_appear_whole(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_buffer_t page = {0};
    mdl_buffer_add(&page, "%s", "one");
    assert_int_equal(mdl_buffer_write(&page, "test_markup_folder/a/page.html", &err), MDL_OK);
    assert_int_equal(access("test_markup_folder/a/page.html", R_OK), 0);
    assert_int_equal(mdl_buffer_write(&page, "/dev/null/page.html", &err), MDL_E_IO);
    page.failed = 1;
    assert_int_equal(mdl_buffer_write(&page, "test_markup_folder/b.html", &err), MDL_E_MEMORY);
    assert_int_not_equal(access("test_markup_folder/b.html", F_OK), 0);
    mdl_buffer_free(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_text_is_escaped),
        cmocka_unit_test(broken_utf8_is_replaced),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(ticks_are_round),
        cmocka_unit_test(scales_map),
        cmocka_unit_test(palette_is_readable),
        cmocka_unit_test(csv_quotes_and_leaves_empty),
        cmocka_unit_test(files_appear_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
