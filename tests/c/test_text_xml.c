/* test_text_xml.c - finding the text of one element, with every document ending at a guard page. */
#include "text.h"

#include "tap.h"

static char found[32];

static int64_t find(const char *document, const char *tag)
{
    guarded g = guard(document, strlen(document));
    om__span span = {g.at, strlen(document)};
    int64_t len;

    memset(found, 'x', sizeof found);
    len = om__xml_find(span, tag, found, sizeof found);
    unguard(g);
    return len == (int64_t)strlen(found) || (len == -1 && !found[0]) ? len : -2;
}

static int finds(const char *document, const char *text)
{
    return find(document, "Code") == (int64_t)strlen(text) && strcmp(found, text) == 0;
}

static void check_xml(void)
{
    OK(finds(
           "<?xml version=\"1.0\"?>\n<Error>\n <Code>NoSuchKey</Code><Message>m</Message></Error>",
           "NoSuchKey"),
       "an error of OSS");
    OK(finds("<E><Codes>a</Codes><xCode>b</xCode><Code>c</Code><Code>d</Code></E>", "c"),
       "the first of that name");
    OK(finds("<Code>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#xfc;&#x20AC;&#x1F600;</Code>",
             "<>&\"'AB\xc3\xbc\xe2\x82\xac"
             "\xf0\x9f\x98\x80"),
       "entities");
    OK(finds("<a><!-- <Code>no</Code> > --><Code  b='c' >d\n\te</Code ></a>", "d\n\te"),
       "comment, attribute, blanks");
    OK(finds("<Code/>", "") && finds("<Code />", "") && finds("<Code></Code>", ""),
       "empty elements");
    OK(find("<Error><Message>x</Message></Error>", "Code") == -1 && find("", "Code") == -1 &&
           find("x", "Code") == -1,
       "absent");
    OK(find("<code>a</code>", "Code") == -1 && find("</Code>a<b>", "Code") == -1,
       "neither in other case nor closed");
    OK(find("<!DOCTYPE a [<!ENTITY b 'c'>]><Code>d</Code>", "Code") == -1, "no document type");
    OK(find("<Code><![CDATA[a]]></Code>", "Code") == -1 &&
           find("<![CDATA[<Code>a</Code>]]>", "Code") == -1,
       "no CDATA");
    OK(find("<Code>a", "Code") == -1 && find("<Code>a<", "Code") == -1 &&
           find("<Code>a</", "Code") == -1 && find("<Code>a</Code", "Code") == -1 &&
           find("<Code", "Code") == -1 && find("<Code>", "Code") == -1 && find("<", "Code") == -1 &&
           find("<!--", "Code") == -1 && find("<?", "Code") == -1 && find("<a", "Code") == -1,
       "cut anywhere");
    OK(find("<Code>a</Other>", "Code") == -1 && find("<Code>a<b/></Code>", "Code") == -1 &&
           find("<Code>a</Code b>", "Code") == -1 && find("<Code<b>a</Code>", "Code") == -1,
       "wrongly closed");
}

static void check_xml_text(void)
{
    static const char *const broken[] = {
        "&",      "&;",       "&x;",        "&amp",           "&#;",   "&#x;",  "&#0;",
        "&#x1F;", "&#xD800;", "&#x110000;", "&#99999999999;", "&#-1;", "&#6a;", "&#xffff;",
        "&nbsp;", "\x01",     "\x7f",       "&#x7f;"};
    char document[64];
    size_t i, size;
    int good = 1;

    for (i = 0; i < sizeof broken / sizeof *broken; i++) {
        snprintf(document, sizeof document, "<Code>%s</Code>", broken[i]);
        good = good && find(document, "Code") == -1;
    }
    OK(good, "broken references and control characters");
    for (good = 1, size = 0; size < 8; size++) {
        guarded g = guard("xxxxxxxx", size);
        int64_t len = om__xml_find(om__span_z("<a>&lt;23&gt;5</a>"), "a", g.at, size);

        good = good && len == (size > 5 ? 5 : -1) && (size == 0 || g.at[len < 0 ? 0 : len] == 0);
        unguard(g);
    }
    OK(good, "text that does not fit counts as absent");
}

int main(void)
{
    check_xml();
    check_xml_text();
    return tap_done();
}
