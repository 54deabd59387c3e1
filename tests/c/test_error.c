/* test_error.c - codes, names and messages. */
#include "error.h"

#include "tap.h"

static void check_names(void)
{
    static const struct {
        int code;
        const char *name;
    } all[] = {
        {0, "OM_OK"},          {-1, "OM_E_ARG"},        {-2, "OM_E_STATE"},
        {-3, "OM_E_NOMEM"},    {-4, "OM_E_NETWORK"},    {-5, "OM_E_TIMEOUT"},
        {-6, "OM_E_SERVICE"},  {-7, "OM_E_EXPIRED"},    {-8, "OM_E_CLOCK"},
        {-9, "OM_E_CRC"},      {-10, "OM_E_PROTOCOL"},  {-11, "OM_E_TLS"},
        {-12, "OM_E_FOREIGN"}, {-13, "OM_E_FULL"},      {-14, "OM_E_FILE"},    {-15, "OM_E_UNKNOWN"},
        {1, "OM_E_UNKNOWN"},   {-1000, "OM_E_UNKNOWN"},
    };
    size_t i;

    for (i = 0; i < sizeof all / sizeof *all; i++)
        OK(strcmp(om_code_name(all[i].code), all[i].name) == 0, "%d is %s", all[i].code,
           all[i].name);
}

int main(void)
{
    char many[1000];
    om_error err;
    size_t i;
    int clean = 1;

    check_names();
    OK(om_version()[0] >= '0' && om_version()[0] <= '9' && strchr(om_version(), '.'), "version %s",
       om_version());
    memset(&err, 0x55, sizeof err);
    om__error_clear(&err);
    OK(err.code == OM_OK && err.http_status == 0 && err.server_time == 0 &&
           err.retry_after_s == -1 && err.maybe_done == 0 && !err.oss_code[0] &&
           !err.request_id[0] && !err.ec[0] && !err.message[0],
       "a cleared error is empty");
    err.http_status = 403;
    strcpy(err.oss_code, "AccessDenied");
    OK(om__fail(&err, OM_E_ARG, "key: %s, %d", "wrong", 7) == OM_E_ARG && err.code == OM_E_ARG,
       "the code comes back");
    OK(strcmp(err.message, "key: wrong, 7") == 0, "message: %s", err.message);
    OK(err.http_status == 403 && strcmp(err.oss_code, "AccessDenied") == 0,
       "the other fields stay");
    (void)!om__fail(&err, OM_E_NETWORK, "%s", "a\r\nb\tc\x1b[31m\x7f\xc3\xbc");
    OK(strcmp(err.message, "a??b?c?[31m?\xc3\xbc") == 0, "control characters are shown as '?'");
    memset(many, 'x', sizeof many - 1);
    many[sizeof many - 1] = 0;
    (void)!om__fail(&err, OM_E_NETWORK, "%s", many);
    OK(strlen(err.message) == sizeof err.message - 1, "a long message is cut");
    for (i = 0; i < sizeof err.message - 1; i++)
        clean = clean && err.message[i] == 'x';
    OK(clean, "and keeps its beginning");
    om__error_clear(NULL);
    OK(om__fail(NULL, OM_E_TLS, "%s", "nobody") == OM_E_TLS, "nobody needs to listen");
    return tap_done();
}
