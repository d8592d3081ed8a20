#include "report/html.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD";
static const char ellipsis[] = "\xE2\x80\xA6";

/* Length of the valid UTF-8 character at text, 0 when there is none (RFC 3629, section 4). */
static int character_length(const unsigned char *text)
{
    if (text[0] < 0x80)
        return 1;
    int n = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    if (text[0] < 0xC2 || text[0] > 0xF4)
        return 0;
    for (int i = 1; i < n; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    uint32_t second = text[1];
    int overlong = (text[0] == 0xE0 && second < 0xA0) || (text[0] == 0xF0 && second < 0x90);
    int outside = (text[0] == 0xED && second > 0x9F) || (text[0] == 0xF4 && second > 0x8F);
    int noncharacter = text[0] == 0xEF && second == 0xBF && text[2] >= 0xBE;
    return overlong || outside || noncharacter ? 0 : n;
}

/* Appends the character at text and returns how many bytes it took. */
static size_t add_character(mdl_buffer_t *page, const char *text)
{
    static const struct {
        char character;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        if (text[0] == entities[i].character) {
            mdl_buffer_add(page, "%s", entities[i].entity);
            return 1;
        }
    }
    int n = character_length((const unsigned char *)text);
    int control = (unsigned char)text[0] < 0x20 && text[0] != '\n' && text[0] != '\t';
    if (n == 0 || control || text[0] == 0x7F) {
        mdl_buffer_add(page, "%s", replacement);
        return 1;
    }
    mdl_buffer_add_bytes(page, text, (size_t)n);
    return (size_t)n;
}

static void add_escaped(mdl_buffer_t *page, const char *text)
{
    while (*text != '\0')
        text += add_character(page, text);
}

/* Formats into new memory; marks the page as failed when there is none. */
static char *format_text(mdl_buffer_t *page, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = n < 0 ? NULL : malloc((size_t)n + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)n + 1, format, again);
    else
        page->failed = 1;
    va_end(again);
    return text;
}

void mdl_html_text(mdl_buffer_t *page, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(page, format, args);
    va_end(args);
    if (text != NULL)
        add_escaped(page, text);
    free(text);
}

static size_t step(const char *text)
{
    int n = character_length((const unsigned char *)text);
    return n == 0 ? 1 : (size_t)n;
}

int mdl_html_n_character(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text += step(text))
        n++;
    return n;
}

void mdl_html_short_text(mdl_buffer_t *page, const char *text, int n_max)
{
    int cut = mdl_html_n_character(text) > n_max;
    for (int i = 0; i < n_max - cut && *text != '\0'; i++)
        text += add_character(page, text);
    if (cut)
        mdl_buffer_add(page, "%s", ellipsis);
}

void mdl_html_missing(mdl_buffer_t *page, const char *what, const char *command)
{
    mdl_buffer_add(page, "<p class=\"missing\">");
    mdl_html_text(page, "%s", what);
    mdl_buffer_add(page, " not there yet. To make it, run <code>");
    mdl_html_text(page, "%s", command);
    mdl_buffer_add(page, "</code>.</p>\n");
}

void mdl_html_figure_begin(mdl_buffer_t *page)
{
    mdl_buffer_add(page, "<figure>\n");
}

void mdl_html_figure_end(mdl_buffer_t *page, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(page, format, args);
    va_end(args);
    mdl_buffer_add(page, "<figcaption>");
    if (text != NULL)
        add_escaped(page, text);
    mdl_buffer_add(page, "</figcaption>\n</figure>\n");
    free(text);
}
