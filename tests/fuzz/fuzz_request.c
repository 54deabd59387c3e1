/* fuzz_request.c - invariant: whatever key, query and header lines the checks let through, the
 * head has exactly the lines that were given and one request line without blanks inside, ends
 * with the only blank line, and has no control character beside its line ends; what they refuse
 * leaves the request as it was. Input: key, LF LF, query, LF LF, header lines. */
#include "request.h"

#include <stdlib.h>

static void require(int good)
{
    if (!good)
        abort();
}

/* Cuts off what stands before an empty line. */
static om__span cut(om__span *rest)
{
    om__span piece = *rest;
    size_t i;

    for (i = 0; i + 1 < rest->len; i++)
        if (rest->at[i] == '\n' && rest->at[i + 1] == '\n') {
            piece.len = i;
            rest->at += i + 2;
            rest->len -= i + 2;
            return piece;
        }
    rest->at += rest->len;
    rest->len = 0;
    return piece;
}

static void check_head(const om__request *request, const char *head, size_t len)
{
    size_t i, lines = 0, blanks = 0;

    for (i = 0; i < len; i++) {
        if (head[i] == '\r') {
            require(i + 1 < len && head[i + 1] == '\n');
            lines++;
            i++;
            continue;
        }
        require((unsigned char)head[i] >= 0x20 && head[i] != 0x7f);
        blanks += lines == 0 && head[i] == ' ';
        require(lines || (unsigned char)head[i] < 0x7f);
    }
    require(lines == request->header_count + 4 && blanks == 2);
    require(len > 4 && memcmp(head + len - 4, "\r\n\r\n", 4) == 0);
    for (i = 0; i + 4 < len; i++)
        require(memcmp(head + i, "\r\n\r\n", 4) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    om__span rest = {(const char *)data, size}, key = cut(&rest), query = cut(&rest);
    size_t room = 3 * size + 256;
    char *memory = malloc(room);
    om__request request;
    om__text head;
    om_error err;

    memset(&request, 0, sizeof request);
    om__error_clear(&err);
    request.method = om__span_z("POST");
    request.host = om__span_z("bucket.example");
    request.has_body = 1;
    require((om__check_bucket(key, &err) == OM_OK) <= (om__check_key(key, &err) == OM_OK));
    if (om__check_key(key, &err) == OM_OK)
        request.key = key;
    if (om__request_add_query(&request, query, &err) < 0)
        require(request.query_count == 0);
    if (om__request_add_headers(&request, rest, &err) < 0)
        require(request.header_count == 0);
    om__text_init(&head, memory, room);
    om__request_head(&request, &head);
    require(om__text_end(&head) > 0);
    check_head(&request, memory, head.len);
    om__text_init(&head, memory, size % 64);
    om__request_head(&request, &head);
    require(head.overflow || head.len < size % 64);
    free(memory);
    return 0;
}
