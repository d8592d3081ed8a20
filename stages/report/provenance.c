#include "report/provenance.h"

#include "report/html.h"

#include <string.h>

/* Paths inside the study's folder are shown from there on. */
static const char *shown_path(const mdl_report_input_t *input, const char *path)
{
    if (input->study == NULL)
        return path;
    size_t length = strlen(input->study->folder);
    if (strncmp(path, input->study->folder, length) != 0 || path[length] != '/')
        return path;
    return path + length + 1;
}

/* Its lines, set off by commas. */
static void draw_configuration(mdl_buffer_t *page, const char *text)
{
    for (const char *separator = ""; *text != '\0'; separator = ", ") {
        int length = (int)strcspn(text, "\n");
        mdl_html_text(page, "%s%.*s", separator, length, text);
        text += length + (text[length] == '\n');
    }
}

static void draw_file(mdl_buffer_t *page, const mdl_report_input_t *input,
                      const mdl_report_file_t *file)
{
    mdl_buffer_add(page, "<tr><th scope=\"row\">");
    mdl_html_text(page, "%s", shown_path(input, file->path));
    mdl_buffer_add(page, "</th><td>");
    mdl_html_text(page, "%s %lld", file->schema, (long long)file->version);
    mdl_buffer_add(page, "</td><td>");
    mdl_html_text(page, "%s", file->tool_version);
    mdl_buffer_add(page, "</td><td><code>");
    mdl_html_text(page, "%.12s", file->content_digest);
    mdl_buffer_add(page, "</code></td><td class=\"lines\">");
    draw_configuration(page, file->configuration);
    mdl_buffer_add(page, "</td></tr>\n");
}

static void add_text(mdl_buffer_t *page, const char *key, const char *value)
{
    mdl_buffer_add(page, "<div><dt>%s</dt><dd>", key);
    mdl_html_text(page, "%s", value == NULL ? "" : value);
    mdl_buffer_add(page, "</dd></div>\n");
}

static void add_number(mdl_buffer_t *page, const char *key, double value)
{
    mdl_buffer_add(page, "<div><dt>%s</dt><dd>%.10g</dd></div>\n", key, value);
}

static void draw_trainer(mdl_buffer_t *page, const mdl_study_t *study)
{
    static const char *const kinds[] = {"native", "command", "replay"};
    add_text(page, "trainer.kind", kinds[study->trainer.kind]);
    if (study->trainer.kind == MDL_TRAINER_COMMAND)
        add_text(page, "trainer.command", study->trainer.command);
    if (study->trainer.kind == MDL_TRAINER_REPLAY)
        add_text(page, "trainer.curves", study->trainer.curves);
    if (study->trainer.kind != MDL_TRAINER_NATIVE)
        return;
    add_number(page, "trainer.epochs", (double)study->trainer.epochs);
    add_number(page, "trainer.batch", (double)study->trainer.batch);
    add_number(page, "trainer.pack_length", (double)study->trainer.pack_length);
    add_number(page, "trainer.learning_rate", study->trainer.learning_rate);
    add_text(page, "trainer.schedule", study->trainer.schedule);
    add_number(page, "trainer.warmup_ratio", study->trainer.warmup_ratio);
    add_number(page, "trainer.weight_decay", study->trainer.weight_decay);
    add_number(page, "trainer.clip_norm", study->trainer.clip_norm);
    add_number(page, "trainer.lora_rank", (double)study->trainer.lora_rank);
    add_number(page, "trainer.lora_alpha", study->trainer.lora_alpha);
}

static void draw_settings(mdl_buffer_t *page, const mdl_study_t *study)
{
    mdl_buffer_add(page, "<h3>Settings of the study</h3>\n<dl>\n");
    add_text(page, "name", study->name);
    mdl_buffer_add(page, "<div><dt>seed</dt><dd>%llu</dd></div>\n",
                   (unsigned long long)study->seed);
    add_number(page, "vision encoders", study->zoo.n_vision);
    add_number(page, "language models", study->zoo.n_language);
    add_text(page, "similarity.estimator", study->similarity.estimator);
    add_text(page, "similarity.kernel", study->similarity.kernel);
    add_text(page, "clusters.linkage", study->clusters.linkage);
    add_number(page, "clusters.vision_threshold", study->clusters.vision_threshold);
    add_number(page, "clusters.language_threshold", study->clusters.language_threshold);
    add_number(page, "clusters.warmup_rounds", (double)study->clusters.warmup_rounds);
    add_number(page, "search.start_ratio", study->search.start_ratio);
    add_number(page, "search.eta", study->search.eta);
    add_number(page, "search.max_ratio", study->search.max_ratio);
    add_number(page, "search.keep", (double)study->search.keep);
    add_text(page, "regress.method", study->regress.method);
    add_number(page, "regress.divisor", study->regress.divisor);
    add_number(page, "regress.points", (double)study->regress.points);
    add_number(page, "regress.tolerance", study->regress.tolerance);
    add_number(page, "regress.confidence", study->regress.confidence);
    draw_trainer(page, study);
    mdl_buffer_add(page, "</dl>\n");
}

void mdl_provenance_draw(mdl_buffer_t *page, const mdl_report_input_t *input)
{
    mdl_buffer_add(page,
                   "<p>The page was made from these files alone. The digest is the beginning of "
                   "each file's <code>content_digest</code>.</p>\n"
                   "<div class=\"table\" tabindex=\"0\" role=\"group\" aria-label=\"Files\"><table "
                   "class=\"files\">\n<thead><tr><th scope=\"col\">file</th>"
                   "<th scope=\"col\">schema</th><th scope=\"col\">Mordal</th>"
                   "<th scope=\"col\">digest</th><th scope=\"col\">made with</th></tr></thead>\n"
                   "<tbody>\n");
    for (int i = 0; i < input->n_file; i++)
        draw_file(page, input, &input->files[i]);
    mdl_buffer_add(page, "</tbody></table></div>\n");
    if (input->study != NULL)
        draw_settings(page, input->study);
}
