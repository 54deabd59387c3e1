/* fuzz_xml.c - invariant: om__xml_find never reads beyond the document nor writes beyond its
 * room; what it finds is the same with exactly enough room and absent with a byte less; text that
 * it found comes back from a document made of it. */
#include "text.h"

#include <stdlib.h>

static void require(int good)
{
    if (!good)
        abort();
}

static void add_escaped(om__text *text, const char *at, size_t len)
{
    for (; len; len--, at++) {
        if (*at == '<')
            om__text_add_z(text, "&lt;");
        else if (*at == '&')
            om__text_add_z(text, "&#38;");
        else
            om__text_add_char(text, *at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const tags[] = {"Code", "Message", "ETag", "a"};
    om__span document = {(const char *)data, size}, again = {NULL, 0};
    char *out = malloc(size + 1), *less = malloc(size + 1), *made = malloc(size * 5 + 32);
    size_t i;

    for (i = 0; i < sizeof tags / sizeof *tags; i++) {
        int64_t n = om__xml_find(document, tags[i], out, size + 1);
        om__text text;

        require(n >= -1 && n <= (int64_t)size);
        if (n < 0) {
            require(out[0] == 0);
            continue;
        }
        require(out[n] == 0);
        require(om__xml_find(document, tags[i], less, (size_t)n) == -1);
        require(om__xml_find(document, tags[i], less, (size_t)n + 1) == n &&
                memcmp(less, out, (size_t)n) == 0);
        om__text_init(&text, made, size * 5 + 32);
        om__text_add_z(&text, "<?xml?><x><b>");
        om__text_add_z(&text, "</b><Code >");
        add_escaped(&text, out, (size_t)n);
        om__text_add_z(&text, "</Code>");
        again.at = made;
        again.len = text.len;
        require(om__xml_find(again, "Code", less, size + 1) == n &&
                memcmp(less, out, (size_t)n) == 0);
    }
    free(out);
    free(less);
    free(made);
    return 0;
}
