#include "io/study_yaml.h"

#include "core/text.h"
#include "io/study_keys.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MAX_PATH_LENGTH = 128, MAX_MODELS = 1000, MAX_DEPTH = 16 };

typedef struct {
    const char *file;
    yaml_document_t document;
    mdl_study_t *study;
} reader_t;

static int read_mapping(reader_t *reader, yaml_node_t *node, const char *section, void *base,
                        mdl_error_t *err);

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static yaml_node_t *node_at(reader_t *reader, int index)
{
    return yaml_document_get_node(&reader->document, index);
}

/* The text of a scalar; an error for anything else. */
static int scalar(const reader_t *reader, const yaml_node_t *node, const char *what,
                  const char **text, mdl_error_t *err)
{
    if (node->type != YAML_SCALAR_NODE)
        return mdl_fail(err, MDL_E_INPUT, "%s:%zu: %s: must be a single value, not a %s",
                        reader->file, line_of(node), what,
                        node->type == YAML_SEQUENCE_NODE ? "list" : "section");
    *text = (const char *)node->data.scalar.value;
    if (strlen(*text) != node->data.scalar.length)
        return mdl_fail(err, MDL_E_INPUT, "%s:%zu: %s: holds a zero byte; take it out",
                        reader->file, line_of(node), what);
    return MDL_OK;
}

static int is_empty(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (node->data.scalar.length == 0 || strcmp((char *)node->data.scalar.value, "~") == 0);
}

/* section and word as a key's path; an overlong word is cut, and so unknown. */
static void join(char path[MAX_PATH_LENGTH], const char *section, const char *word)
{
    snprintf(path, MAX_PATH_LENGTH, "%s%s%s", section, section[0] != '\0' ? "." : "", word);
}

/* 1 when there are keys below path, as "trainer.lora" is above trainer.lora.rank. */
static int is_section(const char *path)
{
    size_t length = strlen(path);
    for (int i = 0; i < mdl_n_study_key; i++)
        if (strncmp(mdl_study_keys[i].path, path, length) == 0 &&
            mdl_study_keys[i].path[length] == '.')
            return 1;
    return 0;
}

/* The names that may stand in section, into words (their texts into storage). */
static int known_words(const char *section, char storage[][64], const char **words)
{
    int n = 0;
    size_t length = strlen(section);
    for (int i = 0; i < mdl_n_study_key; i++) {
        const char *rest = mdl_study_keys[i].path;
        if (length > 0) {
            if (strncmp(rest, section, length) != 0 || rest[length] != '.')
                continue;
            rest += length + 1;
        }
        snprintf(storage[n], 64, "%.*s", (int)strcspn(rest, ".["), rest);
        words[n] = storage[n];
        n++;
    }
    return n;
}

/* The path of a key with this last word in another section, or NULL. */
static const char *elsewhere(const char *word)
{
    for (int i = 0; i < mdl_n_study_key; i++) {
        const char *dot = strrchr(mdl_study_keys[i].path, '.');
        if (dot != NULL && strcmp(dot + 1, word) == 0)
            return mdl_study_keys[i].path;
    }
    return NULL;
}

static int unknown_key(const reader_t *reader, const yaml_node_t *node, const char *section,
                       const char *word, mdl_error_t *err)
{
    char storage[128][64], path[MAX_PATH_LENGTH], hint[2 * MAX_PATH_LENGTH] = "";
    const char *words[128];
    const char *near = elsewhere(word);
    if (near == NULL) {
        int n = known_words(section, storage, words);
        const char *nearest = mdl_text_nearest(word, words, n);
        if (nearest != NULL) {
            join(path, section, nearest);
            near = path;
        }
    }
    if (near != NULL)
        snprintf(hint, sizeof hint, "did you mean %s? ", near);
    return mdl_fail(
        err, MDL_E_INPUT, "%s:%zu: unknown key '%.64s'%s%s; %s`mordal-study --keys` lists all keys",
        reader->file, line_of(node), word, section[0] != '\0' ? " in " : "", section, hint);
}

static int read_texts(reader_t *reader, const yaml_node_t *node, const mdl_study_key_t *key,
                      void *base, mdl_error_t *err)
{
    int rc;
    if (node->type != YAML_SEQUENCE_NODE)
        return mdl_fail(err, MDL_E_INPUT, "%s:%zu: %s: must be a list like [a, b]", reader->file,
                        line_of(node), key->path);
    mdl_study_key_clear(key, base);
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        yaml_node_t *entry = node_at(reader, *item);
        const char *text = "";
        MDL_TRY(scalar(reader, entry, key->path, &text, err));
        rc = mdl_study_key_add(key, base, text, err);
        if (rc != MDL_OK)
            return mdl_error_prefix(err, "%s:%zu: %s", reader->file, line_of(entry), key->path);
    }
    rc = MDL_OK;
done:
    return rc;
}

/* Every required key of one model of a list. */
static int check_item(const reader_t *reader, const yaml_node_t *node, const char *section,
                      const char *item, mdl_error_t *err)
{
    size_t length = strlen(section);
    for (int i = 0; i < mdl_n_study_key; i++) {
        const mdl_study_key_t *key = &mdl_study_keys[i];
        char *value;
        if (!key->required || strncmp(key->path, section, length) != 0 || key->path[length] != '.')
            continue;
        memcpy(&value, item + key->offset, sizeof value);
        if (value == NULL)
            return mdl_fail(err, MDL_E_INPUT, "%s:%zu: %s: this model has no %s", reader->file,
                            line_of(node), section, key->path + length + 1);
    }
    return MDL_OK;
}

/* The name of a model is the first field of both structs. */
static int check_names(const reader_t *reader, const yaml_node_t *node, const mdl_study_key_t *key,
                       const char *items, unsigned n, mdl_error_t *err)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < i; j++) {
            char *a, *b;
            memcpy(&a, items + i * key->item_size, sizeof a);
            memcpy(&b, items + j * key->item_size, sizeof b);
            if (strcmp(a, b) == 0)
                return mdl_fail(err, MDL_E_INPUT,
                                "%s:%zu: %s: the name %s is there twice; give each model its own",
                                reader->file, line_of(node), key->path, a);
        }
    return MDL_OK;
}

static int read_models(reader_t *reader, const yaml_node_t *node, const mdl_study_key_t *key,
                       void *base, mdl_error_t *err)
{
    int rc;
    char section[MAX_PATH_LENGTH], *items;
    if (is_empty(node))
        return MDL_OK;
    if (node->type != YAML_SEQUENCE_NODE)
        return mdl_fail(err, MDL_E_INPUT, "%s:%zu: %s: must be a list of models", reader->file,
                        line_of(node), key->path);
    size_t n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (n > MAX_MODELS)
        return mdl_fail(err, MDL_E_INPUT, "%s:%zu: %s: has %zu models; at most %d are possible",
                        reader->file, line_of(node), key->path, n, MAX_MODELS);
    snprintf(section, sizeof section, "%s[]", key->path);
    MDL_TRY(mdl_alloc(&items, n + 1, key->item_size, key->path, err));
    memcpy((char *)base + key->offset, &items, sizeof items);
    unsigned count = (unsigned)n;
    memcpy((char *)base + key->count_offset, &count, sizeof count);
    for (size_t i = 0; i < n; i++) {
        yaml_node_t *entry = node_at(reader, node->data.sequence.items.start[i]);
        char *item = items + i * key->item_size;
        MDL_TRY(read_mapping(reader, entry, section, item, err));
        MDL_TRY(check_item(reader, entry, section, item, err));
    }
    MDL_TRY(check_names(reader, node, key, items, count, err));
done:
    return rc;
}

static int read_value(reader_t *reader, yaml_node_t *node, const mdl_study_key_t *key, void *base,
                      mdl_error_t *err)
{
    int rc;
    const char *text = "";
    if (key->type == MDL_KEY_MODELS)
        return read_models(reader, node, key, base, err);
    if (key->type == MDL_KEY_TEXTS)
        return read_texts(reader, node, key, base, err);
    MDL_TRY(scalar(reader, node, key->path, &text, err));
    rc = mdl_study_key_set(key, base, text, reader->study->folder, err);
    if (rc != MDL_OK)
        mdl_error_prefix(err, "%s:%zu: %s", reader->file, line_of(node), key->path);
done:
    return rc;
}

static int check_double(reader_t *reader, yaml_node_t *node, const yaml_node_pair_t *pair,
                        const char *word, const char *path, mdl_error_t *err)
{
    for (yaml_node_pair_t *other = node->data.mapping.pairs.start; other < pair; other++) {
        yaml_node_t *key = node_at(reader, other->key);
        if (strcmp((char *)key->data.scalar.value, word) == 0)
            return mdl_fail(err, MDL_E_INPUT, "%s:%zu: %s: is there twice (first in line %zu)",
                            reader->file, line_of(node_at(reader, pair->key)), path, line_of(key));
    }
    return MDL_OK;
}

static int read_pair(reader_t *reader, yaml_node_t *node, const yaml_node_pair_t *pair,
                     const char *section, void *base, mdl_error_t *err)
{
    int rc;
    yaml_node_t *name = node_at(reader, pair->key), *value = node_at(reader, pair->value);
    const char *word = "";
    char path[MAX_PATH_LENGTH];
    MDL_TRY(scalar(reader, name, "a key", &word, err));
    join(path, section, word);
    MDL_TRY(check_double(reader, node, pair, word, path, err));
    const mdl_study_key_t *key = strpbrk(word, ".[") == NULL ? mdl_study_key_find(path) : NULL;
    if (key != NULL)
        rc = read_value(reader, value, key, base, err);
    else if (strpbrk(word, ".[") == NULL && is_section(path))
        rc = read_mapping(reader, value, path, base, err);
    else
        rc = unknown_key(reader, name, section, word, err);
done:
    return rc;
}

static int read_mapping(reader_t *reader, yaml_node_t *node, const char *section, void *base,
                        mdl_error_t *err)
{
    if (is_empty(node))
        return MDL_OK;
    if (node->type != YAML_MAPPING_NODE)
        return mdl_fail(err, MDL_E_INPUT, "%s:%zu: %s: must be a section of 'key: value' lines",
                        reader->file, line_of(node), section[0] != '\0' ? section : "the study");
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        int rc = read_pair(reader, node, pair, section, base, err);
        if (rc != MDL_OK)
            return rc;
    }
    return MDL_OK;
}

static int not_yaml(const char *file, const yaml_parser_t *parser, mdl_error_t *err)
{
    return mdl_fail(
        err, MDL_E_INPUT, "%s:%zu: is not YAML: %s%s%s", file, parser->problem_mark.line + 1,
        parser->problem != NULL ? parser->problem : "unreadable",
        parser->context != NULL ? " " : "", parser->context != NULL ? parser->context : "");
}

/* What a study file never has: aliases, deep nesting (which libyaml needs quadratic time for),
 * a second document (which would be passed over). */
static int check_event(const yaml_event_t *event, const char *file, int *depth, int *n_document,
                       mdl_error_t *err)
{
    size_t line = event->start_mark.line + 1;
    if (event->type == YAML_ALIAS_EVENT)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s:%zu: a study file has no aliases (*name); write the value out", file,
                        line);
    if (event->type == YAML_DOCUMENT_START_EVENT && ++*n_document > 1)
        return mdl_fail(err, MDL_E_INPUT, "%s:%zu: a second document starts here; keep one", file,
                        line);
    if (event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT)
        ++*depth;
    if (event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT)
        --*depth;
    if (*depth > MAX_DEPTH)
        return mdl_fail(err, MDL_E_INPUT, "%s:%zu: is nested more than %d deep", file, line,
                        MAX_DEPTH);
    return MDL_OK;
}

static int check_events(const char *file, const char *bytes, size_t n_byte, mdl_error_t *err)
{
    yaml_parser_t parser;
    int rc = MDL_OK, depth = 0, n_document = 0, more = 1;
    if (!yaml_parser_initialize(&parser))
        return mdl_fail(err, MDL_E_MEMORY, "%s: out of memory while reading", file);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, n_byte);
    while (rc == MDL_OK && more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            rc = not_yaml(file, &parser, err);
            break;
        }
        rc = check_event(&event, file, &depth, &n_document, err);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return rc;
}

static int read_document(reader_t *reader, mdl_error_t *err)
{
    yaml_node_t *root = yaml_document_get_root_node(&reader->document);
    if (root == NULL)
        return mdl_fail(err, MDL_E_INPUT, "%s: is empty; docs/study.md shows what a study holds",
                        reader->file);
    return read_mapping(reader, root, "", reader->study, err);
}

int mdl_study_parse(mdl_study_t *study, const char *file, const char *bytes, size_t n_byte,
                    mdl_error_t *err)
{
    yaml_parser_t parser;
    reader_t reader = {.file = file, .study = study};
    int rc = check_events(file, bytes, n_byte, err);
    if (rc != MDL_OK)
        return rc;
    if (!yaml_parser_initialize(&parser))
        return mdl_fail(err, MDL_E_MEMORY, "%s: out of memory while reading", file);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, n_byte);
    if (!yaml_parser_load(&parser, &reader.document)) {
        rc = not_yaml(file, &parser, err);
    } else {
        rc = read_document(&reader, err);
        yaml_document_delete(&reader.document);
    }
    yaml_parser_delete(&parser);
    return rc;
}
