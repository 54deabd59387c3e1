/* test_endpoint.c - endpoint and proxy texts: where a bucket lives in each style of addressing, and
 * what is refused by name. */
#include "endpoint.h"
#include "tap.h"

typedef struct good {
    const char *endpoint;
    int address;
    const char *host, *host_line;
    int port, https, path_style;
} good;

static const good goods[] = {
    {"https://oss-cn-hangzhou.aliyuncs.com", OM_ADDRESS_HOST, "cams.oss-cn-hangzhou.aliyuncs.com",
     "cams.oss-cn-hangzhou.aliyuncs.com", 443, 1, 0},
    {"http://oss-cn-hangzhou.aliyuncs.com/", OM_ADDRESS_HOST, "cams.oss-cn-hangzhou.aliyuncs.com",
     "cams.oss-cn-hangzhou.aliyuncs.com", 80, 0, 0},
    {"https://oss.example.com:443", OM_ADDRESS_HOST, "cams.oss.example.com", "cams.oss.example.com",
     443, 1, 0},
    {"https://oss.example.com:80", OM_ADDRESS_HOST, "cams.oss.example.com",
     "cams.oss.example.com:80", 80, 1, 0},
    {"http://localhost:8080", OM_ADDRESS_HOST, "cams.localhost", "cams.localhost:8080", 8080, 0, 0},
    {"http://127.0.0.1:8080", OM_ADDRESS_PATH, "127.0.0.1", "127.0.0.1:8080", 8080, 0, 1},
    {"http://127.0.0.1", OM_ADDRESS_PATH, "127.0.0.1", "127.0.0.1", 80, 0, 1},
    {"http://[::1]:8080", OM_ADDRESS_PATH, "::1", "[::1]:8080", 8080, 0, 1},
    {"https://[2001:DB8::7]/", OM_ADDRESS_PATH, "2001:DB8::7", "[2001:DB8::7]", 443, 1, 1},
    {"https://media.example.com", OM_ADDRESS_CNAME, "media.example.com", "media.example.com", 443,
     1, 0},
    {"http://oss_box.lan:65535", OM_ADDRESS_CNAME, "oss_box.lan", "oss_box.lan:65535", 65535, 0, 0},
    {"http://1.2.3.example:1", OM_ADDRESS_HOST, "cams.1.2.3.example", "cams.1.2.3.example:1", 1, 0,
     0},
};

static void test_good(void)
{
    for (size_t i = 0; i < sizeof goods / sizeof goods[0]; i++) {
        const good *g = &goods[i];
        om_config config = {.endpoint = g->endpoint, .bucket = "cams", .address = g->address};
        om__endpoint e;
        om_error err;

        OK(om__endpoint_parse(&e, &config, &err) == OM_OK, "%s is good", g->endpoint);
        OK(e.host && strcmp(e.host, g->host) == 0 && strcmp(e.host_line, g->host_line) == 0,
           "%s: hosts", g->endpoint);
        OK(e.port == g->port && e.https == g->https && e.path_style == g->path_style &&
               !e.proxy_host,
           "%s: port, scheme, style, no proxy", g->endpoint);
        om__endpoint_free(&e);
        OK(!e.host && !e.host_line, "%s: freed", g->endpoint);
        om__endpoint_free(&e);
    }
}

typedef struct bad {
    const char *endpoint, *proxy;
    int address;
    const char *field;
} bad;

static const bad bads[] = {
    {NULL, NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"oss-cn-hangzhou.aliyuncs.com", NULL, OM_ADDRESS_HOST, "endpoint:"},
    {"ftp://host", NULL, OM_ADDRESS_HOST, "endpoint:"},
    {"https//host", NULL, OM_ADDRESS_HOST, "endpoint:"},
    {"http://", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http:///", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://:80", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host:", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host:0", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host:65536", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host:+80", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host:80x", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host:18446744073709551696", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host/path", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host//", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host?x", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host#x", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://user@host", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://user:word@host", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://ho st", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://host\r\nX: y", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://h\xC3\xB6st", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://[::1", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://[]", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://[::1]x", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://::1", NULL, OM_ADDRESS_PATH, "endpoint:"},
    {"http://[::1]:80", NULL, OM_ADDRESS_HOST, "endpoint:"},
    {"http://127.0.0.1:80", NULL, OM_ADDRESS_HOST, "endpoint:"},
    {"http://host", "https://proxy:3128", OM_ADDRESS_PATH, "proxy:"},
    {"http://host", "proxy:3128", OM_ADDRESS_PATH, "proxy:"},
    {"http://host", "http://proxy:99999", OM_ADDRESS_PATH, "proxy:"},
    {"http://host", "http://proxy/x", OM_ADDRESS_PATH, "proxy:"},
};

static void test_bad(void)
{
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        const bad *b = &bads[i];
        om_config config = {
            .endpoint = b->endpoint, .bucket = "cams", .address = b->address, .proxy = b->proxy};
        om__endpoint e;
        om_error err;

        om__error_clear(&err);
        OK(om__endpoint_parse(&e, &config, &err) == OM_E_ARG && err.code == OM_E_ARG,
           "bad endpoint %zu is refused", i);
        OK(strncmp(err.message, b->field, strlen(b->field)) == 0, "bad endpoint %zu: %s", i,
           err.message);
        OK(!strstr(err.message, "word"), "bad endpoint %zu: no password in the message", i);
        om__endpoint_free(&e);
    }
}

static void test_long(void)
{
    char text[400] = "http://";
    om_config config = {.endpoint = text, .bucket = "cams", .address = OM_ADDRESS_PATH};
    om__endpoint e;

    memset(text + 7, 'a', 254);
    OK(om__endpoint_parse(&e, &config, NULL) == OM_E_ARG,
       "a host of 254 bytes is refused, also without an om_error");
    om__endpoint_free(&e);
    text[7 + 253] = '\0';
    OK(om__endpoint_parse(&e, &config, NULL) == OM_OK, "a host of 253 bytes is good");
    om__endpoint_free(&e);
}

static void test_proxy(void)
{
    om_config config = {.endpoint = "https://host", .bucket = "cams", .proxy = "http://[::1]:3128"};
    om__endpoint e;

    OK(om__endpoint_parse(&e, &config, NULL) == OM_OK, "a proxy");
    OK(e.proxy_host && strcmp(e.proxy_host, "::1") == 0 && e.proxy_port == 3128,
       "its host and port");
    om__endpoint_free(&e);
    config.proxy = "";
    OK(om__endpoint_parse(&e, &config, NULL) == OM_OK && !e.proxy_host, "an empty proxy is none");
    om__endpoint_free(&e);
}

int main(void)
{
    test_good();
    test_bad();
    test_long();
    test_proxy();
    return tap_done();
}
