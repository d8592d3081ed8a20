#include "io/label_table.h"

#include "core/text.h"
#include "io/csv.h"
#include "io/sample_ids.h"

#include <stdlib.h>
#include <string.h>

enum { ID, LABEL, ANSWER, SPLIT, N_COLUMN };
static const char *const column_names[N_COLUMN] = {"sample_id", "label", "answer", "split"};

typedef struct {
    mdl_csv_t csv;
    int at[N_COLUMN];
    int64_t n_room[2]; /* of ids and labels */
} reader_t;

static int append(reader_t *reader, mdl_label_table_t *table, const char *id, const char *label,
                  mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_csv_make_room(&reader->csv, &table->id, sizeof *table->id, table->n,
                              &reader->n_room[0], err));
    MDL_TRY(mdl_csv_make_room(&reader->csv, &table->label, sizeof *table->label, table->n,
                              &reader->n_room[1], err));
    table->id[table->n] = mdl_text("%s", id);
    table->label[table->n] = mdl_text("%s", label);
    if (table->id[table->n] == NULL || table->label[table->n] == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory: reading %s", reader->csv.path);
    table->n++;
done:
    return rc;
}

static int read_row(reader_t *reader, const char *split, mdl_label_table_t *table, mdl_error_t *err)
{
    const mdl_csv_t *csv = &reader->csv;
    const char *id = csv->fields[reader->at[ID]];
    const char *label = csv->fields[reader->at[reader->at[LABEL] >= 0 ? LABEL : ANSWER]];
    if (reader->at[SPLIT] >= 0 && strcmp(split, "all") != 0) {
        const char *of = csv->fields[reader->at[SPLIT]];
        if (strcmp(of, "train") != 0 && strcmp(of, "eval") != 0)
            return mdl_csv_refuse(csv, err, "split must be train or eval, not", of);
        if (strcmp(of, split) != 0)
            return MDL_OK;
    }
    if (*id == '\0' || *label == '\0')
        return mdl_csv_refuse(csv, err, "a sample without id or label:", *id == '\0' ? label : id);
    return append(reader, table, id, label, err);
}

static int check_columns(const reader_t *reader, const char *split, mdl_error_t *err)
{
    if (reader->at[ID] < 0 || (reader->at[LABEL] < 0 && reader->at[ANSWER] < 0))
        return mdl_fail(err, MDL_E_INPUT, "%s: needs the columns sample_id and label (or answer)",
                        reader->csv.path);
    if (reader->at[SPLIT] < 0 && strcmp(split, "all") != 0)
        return mdl_fail(err, MDL_E_INPUT, "%s: has no column split to take %s samples by",
                        reader->csv.path, split);
    return MDL_OK;
}

static int check_rows(const char *path, const mdl_label_table_t *table, mdl_error_t *err)
{
    mdl_id_table_t *ids = NULL;
    if (table->n == 0)
        return mdl_fail(err, MDL_E_INPUT, "%s: has no labels", path);
    int rc = mdl_id_table_new((const char *const *)table->id, table->n, path, &ids, err);
    free(ids);
    return rc;
}

int mdl_label_table_read(const char *path, const char *split, mdl_label_table_t *table,
                         mdl_error_t *err)
{
    reader_t reader = {.csv.file = NULL};
    int end = 0, rc;
    *table = (mdl_label_table_t){0};
    MDL_TRY(mdl_csv_open(&reader.csv, path, "give the samples' labels with --labels", column_names,
                         N_COLUMN, reader.at, err));
    MDL_TRY(check_columns(&reader, split, err));
    for (;;) {
        MDL_TRY(mdl_csv_next(&reader.csv, &end, err));
        if (end)
            break;
        MDL_TRY(read_row(&reader, split, table, err));
    }
    MDL_TRY(check_rows(path, table, err));
    rc = mdl_digest_of_file(path, table->digest, err);
done:
    mdl_csv_close(&reader.csv);
    if (rc != MDL_OK)
        mdl_label_table_free(table);
    return rc;
}

/* A sample of the split, to be numbered within its image. */
typedef struct {
    const char *image;
    int64_t row, number;
} entry_t;

static int by_image(const void *left, const void *right)
{
    const entry_t *a = left, *b = right;
    int order = strcmp(a->image, b->image);
    return order != 0 ? order : (a->row > b->row) - (a->row < b->row);
}

/* Numbers the samples of each image in the order of the corpus. */
static void number_samples(entry_t *entries, int64_t n)
{
    qsort(entries, (size_t)n, sizeof *entries, by_image);
    for (int64_t i = 1; i < n; i++)
        if (strcmp(entries[i].image, entries[i - 1].image) == 0)
            entries[i].number = entries[i - 1].number + 1;
}

/* A copy without the white space at both ends; NULL when memory is out. */
static char *trimmed(const char *text)
{
    static const char blank[] = " \t\r\n";
    text += strspn(text, blank);
    size_t n = strlen(text);
    while (n > 0 && strchr(blank, text[n - 1]) != NULL)
        n--;
    return mdl_text("%.*s", (int)n, text);
}

static int fill_from_corpus(const mdl_corpus_t *corpus, const entry_t *entries, int64_t n,
                            int numbered, mdl_label_table_t *table, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_alloc(&table->id, (size_t)n, sizeof *table->id, "labels", err));
    MDL_TRY(mdl_alloc(&table->label, (size_t)n, sizeof *table->label, "labels", err));
    table->n = n;
    for (int64_t i = 0; i < n; i++) {
        table->id[i] = numbered
                           ? mdl_text("%s#%lld", entries[i].image, (long long)entries[i].number)
                           : mdl_text("%s", entries[i].image);
        table->label[i] = trimmed(corpus->answer[entries[i].row]);
        if (table->id[i] == NULL || table->label[i] == NULL)
            MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for labels"));
    }
done:
    return rc;
}

int mdl_label_table_of_corpus(const mdl_corpus_t *corpus, const char *split, int numbered,
                              mdl_label_table_t *table, mdl_error_t *err)
{
    entry_t *entries = NULL;
    int64_t n = 0;
    int rc;
    *table = (mdl_label_table_t){0};
    memcpy(table->digest, corpus->digest, sizeof table->digest);
    MDL_TRY(mdl_alloc(&entries, (size_t)corpus->n_sample, sizeof *entries, "labels", err));
    for (int64_t i = 0; i < corpus->n_sample; i++)
        if (strcmp(split, "all") == 0 || (strcmp(split, "eval") == 0) == (corpus->split[i] == 1))
            entries[n++] = (entry_t){corpus->image[i], i, 0};
    if (n == 0)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s: has no samples of split %s", corpus->path, split));
    number_samples(entries, n);
    rc = fill_from_corpus(corpus, entries, n, numbered, table, err);
done:
    free(entries);
    if (rc != MDL_OK)
        mdl_label_table_free(table);
    return rc;
}

void mdl_label_table_free(mdl_label_table_t *table)
{
    for (int64_t i = 0; i < table->n; i++) {
        if (table->id != NULL)
            free(table->id[i]);
        if (table->label != NULL)
            free(table->label[i]);
    }
    free(table->id);
    free(table->label);
    *table = (mdl_label_table_t){0};
}
